// Makes an OCI image layout with a busybox image out of this machine's /bin/busybox.
#include <cstdio>

#include "tools/image/oci_layout.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: busybox_layout DIRECTORY REFERENCE\n");
    return 2;
  }
  const auto image = berth::AddBusyboxImage(argv[1], argv[2]);
  if (!image.ok()) {
    std::fprintf(stderr, "busybox_layout: %s\n", image.status().ToString().c_str());
    return 1;
  }
  std::printf("%s\n", image->id.c_str());
  return 0;
}
