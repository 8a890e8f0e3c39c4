// Finds the layouts and archives below the configured directories.
#ifndef BERTH_PLUGINS_REGISTRY_LAYOUT_LAYOUT_SCAN_H_
#define BERTH_PLUGINS_REGISTRY_LAYOUT_LAYOUT_SCAN_H_

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "berth/sdk/status.h"
#include "plugins/registry_layout/file_set.h"
#include "plugins/registry_layout/layout_images.h"

namespace berth::registry_layout {

struct Layout {
  std::string path;  // of the directory or archive
  LayoutImages contents;
  std::unique_ptr<FileSet> files;
};

struct Scan {
  std::vector<std::shared_ptr<const Layout>> layouts;  // in the order of the directories, then of their names
  std::map<std::string, sdk::Status> faults;           // by path: what is there but cannot be served
};

// Any thread. What has not changed since it was last seen is not read again.
class LayoutScanner {
 public:
  explicit LayoutScanner(std::vector<std::string> directories) : directories_(std::move(directories)) {}

  // A directory with `oci-layout` is a layout; other directories are searched, up to kMaxDepth deep; a file NAME.tar is
  // an archive. Names that begin with a dot are passed over (files on their way in), and so are symbolic links. A
  // configured directory that does not exist is a fault of its own.
  Scan Run();

  static constexpr int kMaxDepth = 8;
  static constexpr size_t kMaxEntries = 65536;

 private:
  struct Known {
    FileIdentity identity;
    sdk::Status fault;
    std::shared_ptr<const Layout> layout;
  };
  struct Walk;

  void Visit(Walk& walk, const std::string& path, const std::string& relative, int depth);
  void VisitEntry(Walk& walk, int dir, const std::string& name, const std::string& path, const std::string& relative,
                  int depth);
  void Take(Walk& walk, const std::string& path, const std::string& relative, sdk::UniqueFd watched, bool tar);

  const std::vector<std::string> directories_;
  std::mutex mutex_;
  std::map<std::string, Known> known_;  // by path
};

}  // namespace berth::registry_layout

#endif  // BERTH_PLUGINS_REGISTRY_LAYOUT_LAYOUT_SCAN_H_
