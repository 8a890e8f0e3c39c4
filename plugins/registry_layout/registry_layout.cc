// The plugin registry_layout: README.md says what it serves and under which names.
#include <utility>

#include "berth/sdk/image_registry.h"
#include "plugins/registry_layout/layout_registry.h"

namespace berth::registry_layout {
namespace {

LayoutRegistry::Options ReadOptions(const sdk::Host& host) {
  const sdk::Config config = host.config();
  LayoutRegistry::Options options;
  options.may_be_missing = !config.Has("directories");
  const std::string root = host.root().empty() ? "/var/lib/berth" : host.root();
  options.directories = config.Strings("directories", {root + "/layouts"});
  for (const std::string& directory : options.directories) {
    if (!directory.starts_with('/') || directory.find('\0') != std::string::npos) {
      config.Fail("directories", "want absolute paths, found \"" + directory + "\"");
    }
  }
  options.warn = [host](const std::string& text) { host.LogWarn(text); };
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
  sdk::Status List(const sdk::Call& call, const std::function<void(const std::string&)>& visit) override {
    return registry_.List(call, visit);
  }
  sdk::Status Ping(const sdk::Call& call) override { return registry_.Ping(call); }

 private:
  LayoutRegistry registry_;
};

}  // namespace
}  // namespace berth::registry_layout

BERTH_IMAGE_REGISTRY_PLUGIN("registry_layout", "0.1.0", berth::registry_layout::Plugin);
