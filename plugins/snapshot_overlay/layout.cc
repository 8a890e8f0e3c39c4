#include "plugins/snapshot_overlay/layout.h"

#include <algorithm>

namespace berth::snapshot_overlay {
namespace {

constexpr size_t kMaxKey = 32;

sdk::Mount Bind(std::string source, bool read_only, bool id_mapped) {
  sdk::Mount mount{"bind", std::move(source), "", {"bind", read_only ? "ro" : "rw"}};
  if (id_mapped) mount.options.push_back("x-berth.idmap");
  return mount;
}

size_t OptionBytes(const std::vector<std::string>& options) {
  size_t bytes = 0;
  for (const std::string& option : options) bytes += option.size() + 1;
  return bytes;
}

std::string LowerDirs(const std::vector<std::string>& parents) {
  std::string out = "lowerdir=";
  for (const std::string& key : parents) out += (&key == &parents.front() ? "" : ":") + key + "/fs";
  return out;
}

}  // namespace

sdk::Status CheckKey(std::string_view key) {
  const bool good =
      std::all_of(key.begin(), key.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
  if (good && !key.empty() && key.size() <= kMaxKey) return {};
  return sdk::InvalidArgument("snapshot key \"" + std::string(key.substr(0, 64)) + "\": want 1 to 32 of [a-z0-9]");
}

sdk::Result<std::vector<sdk::Mount>> RootfsMounts(const std::string& root, const sdk::SnapshotRequest& request) {
  const std::string active = "/active/" + request.key + "/fs";
  const bool writable = request.kind == sdk::SnapshotKind::kContainer;
  const bool id_mapped = !request.uid_map.empty() || !request.gid_map.empty();
  // overlayfs wants at least one lower layer below an upper one, and two without.
  if (request.parents.empty()) return std::vector<sdk::Mount>{Bind(root + active, !writable, id_mapped)};
  if (!writable && request.parents.size() == 1) {
    return std::vector<sdk::Mount>{Bind(root + "/layers/" + request.parents[0] + "/fs", true, id_mapped)};
  }
  // Off whatever the kernel's defaults are: with them the trees could not be moved, nor read by anything but overlayfs.
  std::vector<std::string> options = {"index=off", "redirect_dir=off", "metacopy=off", LowerDirs(request.parents)};
  if (writable) {
    options.push_back("upperdir=.." + active);
    options.push_back("workdir=../active/" + request.key + "/work");
  }
  if (request.parents.size() > kMaxLayers || OptionBytes(options) > kMaxMountOptions) {
    return sdk::FailedPrecondition("mount options of snapshot " + request.key + ": " +
                                   std::to_string(request.parents.size()) + " layers take " +
                                   std::to_string(OptionBytes(options)) + " bytes, more than mount(2) carries");
  }
  if (!writable) options.push_back("ro");
  options.push_back("x-berth.cwd=" + root + "/layers");
  // Layers and what is written above them: on disk every container's root is 0.
  if (id_mapped) options.push_back("x-berth.idmap=" + root);
  return std::vector<sdk::Mount>{sdk::Mount{"overlay", "overlay", "", std::move(options)}};
}

}  // namespace berth::snapshot_overlay
