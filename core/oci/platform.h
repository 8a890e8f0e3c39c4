// Which of an index's manifests is for this machine (image-spec image-index.md "platform").
#ifndef BERTH_CORE_OCI_PLATFORM_H_
#define BERTH_CORE_OCI_PLATFORM_H_

#include <string>

namespace berth::oci {

// Architectures and variants by Go's names: amd64, arm64 v8, arm v7.
struct Platform {
  std::string os, architecture, variant, os_version;

  bool operator==(const Platform&) const = default;
  std::string ToString() const;  // linux/arm64/v8
};

// This machine: linux, with the variant the processor can run (amd64: v1 to v4).
Platform HostPlatform();

// How well `candidate` runs on `host`: -1 not at all; else the higher the better.
int PlatformRank(const Platform& host, const Platform& candidate);

}  // namespace berth::oci

#endif  // BERTH_CORE_OCI_PLATFORM_H_
