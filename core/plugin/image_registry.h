// Image registry: where manifests and blobs come from. Runs in the pull worker, never in the daemon, and is not trusted
// for content: the host verifies every digest and size.
#ifndef BERTH_CORE_PLUGIN_IMAGE_REGISTRY_H_
#define BERTH_CORE_PLUGIN_IMAGE_REGISTRY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/plugin/call.h"

namespace berth {

// image-spec descriptor.md.
struct ContentDescriptor {
  std::string media_type;
  std::string digest;  // "sha256:..."; empty only together with `data`: then the host computes it
  uint64_t size = 0;
  std::string data;  // the content itself when it is small and at hand ("embedded content")
};

struct Platform {
  std::string os, architecture, variant;
};

// CRI AuthConfig. Never logged.
struct RegistryCredentials {
  std::string username, password, auth, server_address, identity_token, registry_token;
};

struct RegistryRequest {
  std::string reference;  // normalised: host/path:tag or host/path@digest
  Platform platform;
  RegistryCredentials credentials;
  std::map<std::string, std::string> annotations;  // ImageSpec.annotations
  std::string runtime_handler;
};

class ImageRegistry {
 public:
  virtual ~ImageRegistry() = default;

  // The manifest or index that the reference names. kNotFound: not served here, the host asks the next registry.
  virtual absl::StatusOr<ContentDescriptor> Resolve(const Call& call, const RegistryRequest& request) = 0;

  // Takes the next bytes; an error ends the fetch with that error.
  using Sink = std::function<absl::Status(absl::string_view)>;
  // Delivers `length` bytes of the content from `offset` (0, UINT64_MAX: all of it), in order. Any thread; the host
  // fetches several blobs at once.
  virtual absl::Status Fetch(const Call& call, const RegistryRequest& request, const ContentDescriptor& what,
                             uint64_t offset, uint64_t length, const Sink& sink) = 0;

  // The references it can name by itself (an archive folder can, a remote registry may answer kUnimplemented).
  virtual absl::Status List(const Call& call, const std::function<void(const std::string&)>& visit) = 0;
  // OK when requests have a chance: what `berth config check` and Status ask.
  virtual absl::Status Ping(const Call& call) = 0;
};

}  // namespace berth

#endif  // BERTH_CORE_PLUGIN_IMAGE_REGISTRY_H_
