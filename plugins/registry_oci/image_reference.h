// The normalised reference that the host hands over, taken apart and checked once more: its parts become parts of URLs
// and of file names.
#ifndef BERTH_PLUGINS_REGISTRY_OCI_IMAGE_REFERENCE_H_
#define BERTH_PLUGINS_REGISTRY_OCI_IMAGE_REFERENCE_H_

#include <string>
#include <string_view>

#include "berth/sdk/status.h"

namespace berth::registry_oci {

struct ImageReference {
  std::string host;    // as written: "docker.io", "localhost:5000", "[::1]:5000"
  std::string path;    // "library/busybox"
  std::string tag;     // "" with a digest
  std::string digest;  // "" with a tag
};

// host/path:tag or host/path@digest. kInvalidArgument for anything else.
sdk::Result<ImageReference> ParseReference(std::string_view text);

// "sha256:" and 64 lowercase hexadecimal digits, or "sha512:" and 128.
bool IsDigest(std::string_view text);

// HOST or HOST:PORT of a name, an IPv4 address, or an IPv6 address in brackets.
bool IsHost(std::string_view text);

// "localhost", 127.0.0.0/8 and ::1, with or without a port.
bool IsLoopback(std::string_view host);

}  // namespace berth::registry_oci

#endif  // BERTH_PLUGINS_REGISTRY_OCI_IMAGE_REFERENCE_H_
