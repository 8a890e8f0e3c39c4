// The plugin registry_oci: README.md says what it does and which keys it has.
#include <string>
#include <utility>
#include <vector>

#include "berth/sdk/image_registry.h"
#include "plugins/registry_oci/oci_registry.h"

namespace berth::registry_oci {
namespace {

constexpr int64_t kHour = 3600;

OciRegistry::Options ReadOptions(const sdk::Host& host) {
  const sdk::Config config = host.config();
  OciRegistry::Options options;
  options.hosts.roots =
      config.Strings("config_path", {"/etc/berth/certs.d", "/etc/containerd/certs.d", "/etc/docker/certs.d"});
  for (const std::string& root : options.hosts.roots) {
    if (!root.starts_with('/') || root.find('\0') != std::string::npos) {
      config.Fail("config_path", "want absolute paths, found \"" + root + "\"");
    }
  }
  options.hosts.connect_timeout_ms = config.Int("connect_timeout_seconds", 30, 1, kHour) * 1000;
  options.hosts.warn = [host](const std::string& text) { host.LogWarn(text); };
  options.http.stall_ms = config.Int("stall_seconds", 60, 1, kHour) * 1000;
  options.http.min_bytes_per_second = config.Int("min_bytes_per_second", 1024, 1, 1 << 30);
  options.retries = static_cast<int>(config.Int("retries", 3, 0, 20));
  options.backoff_ms = config.Int("retry_milliseconds", 250, 1, 60'000);
  options.max_retry_after_ms = config.Int("max_retry_after_seconds", 30, 0, kHour) * 1000;
  return options;
}

class Plugin final : public sdk::ImageRegistry {
 public:
  explicit Plugin(const sdk::Host& host) : registry_(ReadOptions(host)) {}

  sdk::Result<sdk::ContentDescriptor> Resolve(const sdk::Call& call, const sdk::RegistryRequest& request) override {
    return registry_.Resolve(call, request);
  }
  sdk::Status Fetch(const sdk::Call& call, const sdk::RegistryRequest& request, const sdk::ContentDescriptor& what,
                    uint64_t offset, uint64_t length, const Sink& sink) override {
    return registry_.Fetch(call, request, what, offset, length, sink);
  }

 private:
  OciRegistry registry_;
};

}  // namespace
}  // namespace berth::registry_oci

BERTH_IMAGE_REGISTRY_PLUGIN("registry_oci", "0.1.0", berth::registry_oci::Plugin);
