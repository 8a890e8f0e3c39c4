// Serves the images of OCI layouts, oci-archives and docker archives found in directories.
#ifndef BERTH_PLUGINS_REGISTRY_LAYOUT_LAYOUT_REGISTRY_H_
#define BERTH_PLUGINS_REGISTRY_LAYOUT_LAYOUT_REGISTRY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "berth/sdk/image_registry.h"
#include "plugins/registry_layout/layout_scan.h"

namespace berth::registry_layout {

class LayoutRegistry final {
 public:
  struct Options {
    std::vector<std::string> directories;
    bool may_be_missing = false;  // the directories: nobody configured them
    std::function<void(const std::string&)> warn;
  };

  explicit LayoutRegistry(Options options) : options_(std::move(options)), scanner_(options_.directories) {}

  // As sdk::ImageRegistry.
  sdk::Result<sdk::ContentDescriptor> Resolve(const sdk::Call& call, const sdk::RegistryRequest& request);
  sdk::Status Fetch(const sdk::Call& call, const sdk::RegistryRequest& request, const sdk::ContentDescriptor& what,
                    uint64_t offset, uint64_t length, const sdk::ImageRegistry::Sink& sink);
  sdk::Status List(const sdk::Call& call, const std::function<void(const std::string&)>& visit);
  sdk::Status Ping(const sdk::Call& call);

 private:
  Scan Look();
  sdk::Status NotServed(const std::string& reference, const Scan& scan) const;

  const Options options_;
  LayoutScanner scanner_;
  std::mutex mutex_;
  std::map<std::string, std::string> warned_;  // fault by path, so that each is logged once
};

}  // namespace berth::registry_layout

#endif  // BERTH_PLUGINS_REGISTRY_LAYOUT_LAYOUT_REGISTRY_H_
