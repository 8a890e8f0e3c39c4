#include "plugins/network_cni/config_directory.h"

#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <initializer_list>
#include <memory>
#include <string_view>
#include <utility>

#include "plugins/network_cni/small_file.h"

namespace berth::network_cni {
namespace {

using json::Value;
using sdk::InvalidArgument;
using sdk::Result;
using sdk::Status;

constexpr size_t kMaxFiles = 1024;

Result<std::vector<std::string>> NamesIn(const std::string& dir, std::initializer_list<std::string_view> extensions) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(dir.c_str()), &closedir);
  if (stream == nullptr) return sdk::ErrnoStatus("open " + dir);
  std::vector<std::string> names;
  while (const dirent* entry = readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    const bool ours = std::any_of(extensions.begin(), extensions.end(),
                                  [&](std::string_view extension) { return name.ends_with(extension); });
    if (ours && entry->d_type != DT_DIR && names.size() < kMaxFiles) names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

// DIR/NETWORK/*.conf, one plugin each, behind those of the list itself.
Status AddFolder(const std::string& folder, ConfigList* list) {
  const Result<std::vector<std::string>> names = NamesIn(folder, {".conf"});
  if (!names.ok() && names.status().sys_errno() != ENOENT && names.status().sys_errno() != ENOTDIR) {
    return names.status();
  }
  for (const std::string& name : names.ok() ? *names : std::vector<std::string>()) {
    const std::string path = folder + "/" + name;
    BERTH_ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(path, kMaxConfig));
    BERTH_ASSIGN_OR_RETURN(Value plugin, json::Parse(text, path, kMaxConfig));
    BERTH_RETURN_IF_ERROR(CheckPlugin(plugin, path));
    if (list->plugins.size() == kMaxPlugins) return InvalidArgument(path + ": too many plugins");
    list->plugins.push_back(std::move(plugin));
  }
  return {};
}

Result<ConfigList> LoadFile(const std::string& dir, const std::string& path) {
  BERTH_ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(path, kMaxConfig));
  BERTH_ASSIGN_OR_RETURN(ConfigList list, ParseConfigList(text, path));
  if (list.wants_folder) BERTH_RETURN_IF_ERROR(AddFolder(dir + "/" + list.name, &list));
  if (list.plugins.empty()) {
    return InvalidArgument(path + ": no \"plugins\" in it and none in " + dir + "/" + list.name);
  }
  return list;
}

}  // namespace

LoadedConfigs ConfigDirectory::Load() {
  const std::lock_guard<std::mutex> lock(mutex_);
  LoadedConfigs out;
  const Result<std::vector<std::string>> names = NamesIn(dir_, {".conf", ".conflist", ".json"});
  if (!names.ok()) {
    out.faults.push_back(names.status().message());
    return out;
  }
  std::map<std::string, ConfigList> valid;
  for (const std::string& name : *names) {
    const std::string path = dir_ + "/" + name;
    const auto before = last_valid_.find(path);
    if (max_ > 0 && out.networks.size() >= static_cast<size_t>(max_)) {
      if (before != last_valid_.end()) valid.insert(*before);
      continue;
    }
    Result<ConfigList> list = LoadFile(dir_, path);
    if (!list.ok() && before == last_valid_.end()) {
      out.faults.push_back(list.status().message());
      continue;
    }
    if (!list.ok()) out.faults.push_back(list.status().message() + "; used as it was before");
    const ConfigList& used = valid.emplace(path, list.ok() ? *std::move(list) : before->second).first->second;
    out.networks.push_back(used);
    out.files.push_back(path);
  }
  last_valid_ = std::move(valid);
  return out;
}

}  // namespace berth::network_cni
