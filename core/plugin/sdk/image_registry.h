// Write an image registry: derive from ImageRegistry, take a Host in the constructor, and end the file with
// BERTH_IMAGE_REGISTRY_PLUGIN("name", "1.0.0", Type);
//
// Runs in the pull worker, a short-lived process. The host verifies every digest and size. Any thread, several calls at
// once. berth/abi/registry.h is the whole contract.
#ifndef BERTH_SDK_IMAGE_REGISTRY_H_
#define BERTH_SDK_IMAGE_REGISTRY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "berth/abi/registry.h"
#include "berth/sdk/call.h"
#include "berth/sdk/host.h"
#include "berth/sdk/internal.h"
#include "berth/sdk/module.h"
#include "berth/sdk/status.h"

namespace berth::sdk {

// image-spec descriptor.md.
struct ContentDescriptor {
  std::string media_type;
  std::string digest;  // "sha256:..."; empty only together with `data`: then the host computes it
  uint64_t size = 0;
  std::string data;  // the content itself when it is small and at hand; at most 8 MiB
};

struct Platform {
  std::string os, architecture, variant;
};

// CRI AuthConfig. Never log it.
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
  virtual Result<ContentDescriptor> Resolve(const Call& call, const RegistryRequest& request) = 0;

  // Takes the next bytes; return its error from Fetch.
  using Sink = std::function<Status(std::string_view)>;
  // Delivers `length` bytes of the content from `offset` (0, UINT64_MAX: all of it), in order.
  virtual Status Fetch(const Call& call, const RegistryRequest& request, const ContentDescriptor& what, uint64_t offset,
                       uint64_t length, const Sink& sink) = 0;

  // Each reference it can name by itself.
  virtual Status List(const Call&, const std::function<void(const std::string&)>& /*visit*/) {
    return Unimplemented("this registry cannot list what it serves");
  }
  // OK when requests have a chance.
  virtual Status Ping(const Call&) { return {}; }
};

namespace internal {

inline ContentDescriptor ToDescriptor(const berth_content_descriptor* d) {
  return {String(d->media_type), String(d->digest), d->size, String(d->data)};
}

inline RegistryRequest ToRequest(const berth_registry_request* r) {
  RegistryRequest out;
  out.reference = String(r->reference);
  out.platform = {String(r->os), String(r->architecture), String(r->variant)};
  if (const berth_credentials* c = r->credentials; c != nullptr) {
    out.credentials = {String(c->username),       String(c->password),       String(c->auth),
                       String(c->server_address), String(c->identity_token), String(c->registry_token)};
  }
  out.annotations = Map(r->annotations, r->annotation_count);
  out.runtime_handler = String(r->runtime_handler);
  return out;
}

// The C functions of one plugin class.
template <class T>
struct RegistryFunctions {
  static T& Self(void* self) { return *static_cast<T*>(self); }

  static int32_t Create(const berth_host* host, void** out, berth_error* err) noexcept {
    return Guard(err, [&] {
      *out = new T(Host(host));
      return Status();
    });
  }
  static void Destroy(void* self) noexcept { delete static_cast<T*>(self); }
  static int32_t Resolve(void* self, const berth_call* call, const berth_registry_request* request,
                         const berth_content_sink* out, berth_error* err) noexcept {
    return Guard(err, [&]() -> Status {
      BERTH_ASSIGN_OR_RETURN(const ContentDescriptor d, Self(self).Resolve(ToCall(call), ToRequest(request)));
      const berth_content_descriptor raw{sizeof(raw), 0, Str(d.media_type), Str(d.digest), d.size, Str(d.data)};
      out->put(out->ctx, &raw);
      return {};
    });
  }
  static int32_t Fetch(void* self, const berth_call* call, const berth_registry_request* request,
                       const berth_fetch_range* range, const berth_byte_sink* out, berth_error* err) noexcept {
    return Guard(err, [&] {
      const ImageRegistry::Sink sink = [out](std::string_view data) {
        berth_error sink_err = NewError();
        return ToStatus(out->write(out->ctx, data.data(), data.size(), &sink_err), sink_err);
      };
      return Self(self).Fetch(ToCall(call), ToRequest(request), ToDescriptor(range->what), range->offset, range->length,
                              sink);
    });
  }
  static int32_t List(void* self, const berth_call* call, const berth_str_sink* each, berth_error* err) noexcept {
    return Guard(err, [&] {
      return Self(self).List(ToCall(call), [each](const std::string& name) { each->put(each->ctx, Str(name)); });
    });
  }
  static int32_t Ping(void* self, const berth_call* call, berth_error* err) noexcept {
    return Guard(err, [&] { return Self(self).Ping(ToCall(call)); });
  }

  static constexpr berth_registry kTable = {
      sizeof(berth_registry), 0, &Create, &Destroy, &Resolve, &Fetch, &List, &Ping};
};

}  // namespace internal
}  // namespace berth::sdk

#define BERTH_KIND_IMAGE_REGISTRY(Type) \
  { BERTH_REGISTRY, &::berth::sdk::internal::RegistryFunctions<Type>::kTable }
#define BERTH_IMAGE_REGISTRY_PLUGIN(plugin_name, plugin_version, Type) \
  BERTH_PLUGIN(plugin_name, plugin_version, BERTH_KIND_IMAGE_REGISTRY(Type))

#endif  // BERTH_SDK_IMAGE_REGISTRY_H_
