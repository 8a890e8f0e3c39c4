#include "plugins/network_cni/config_list.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "plugins/network_cni/small_file.h"

namespace berth::network_cni {
namespace {

using json::Value;
using sdk::InvalidArgument;
using sdk::Result;
using sdk::Status;

constexpr std::string_view kExtensions[] = {".conf", ".conflist", ".json"};
constexpr size_t kMaxFiles = 1024;

// The newest version of which this code knows the rules.
constexpr std::pair<int, int> kNewest{1, 1};

struct Version {
  int major = 0, minor = 0;
  auto operator<=>(const Version&) const = default;
};

Version ReadVersion(std::string_view text) {
  int part[2] = {0, 0};
  size_t i = 0;
  for (const char c : text) {
    if (c == '.') {
      if (++i == 2) break;
    } else if (c >= '0' && c <= '9' && part[i] < 10000) {
      part[i] = part[i] * 10 + (c - '0');
    } else {
      return {};
    }
  }
  return {part[0], part[1]};
}

// Specification 1.1: of `cniVersions` the highest that the runtime knows; `cniVersion` counts as one of them.
std::string PickVersion(const Value& list) {
  std::string best = json::StringMember(list, "cniVersion");
  for (const Value& v : json::ArrayMember(list, "cniVersions")) {
    if (!v.is_string()) continue;
    const std::string& text = v.get_ref<const std::string&>();
    const Version version = ReadVersion(text);
    if (version <= Version{kNewest.first, kNewest.second} && version > ReadVersion(best)) best = text;
  }
  return best.empty() ? "0.1.0" : best;
}

bool IsNetworkName(std::string_view name) {
  const auto alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !name.empty() && name.size() <= 255 && alphanumeric(name[0]) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return alphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

// It becomes a path below bin_dirs.
bool IsPluginType(std::string_view type) {
  return !type.empty() && type.size() <= 255 && type != "." && type != ".." &&
         type.find_first_of(std::string_view("/\0", 2)) == std::string_view::npos;
}

Status CheckPlugin(const Value& plugin, const std::string& where) {
  if (!plugin.is_object()) return InvalidArgument(where + " is not an object");
  const std::string type = json::StringMember(plugin, "type");
  if (type.empty()) return InvalidArgument(where + " has no \"type\"");
  if (!IsPluginType(type)) return InvalidArgument(where + ": \"type\" is not a plain file name");
  return {};
}

Result<std::vector<std::string>> ConfigNames(const std::string& dir) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(dir.c_str()), &closedir);
  if (stream == nullptr) return sdk::ErrnoStatus("open " + dir);
  std::vector<std::string> names;
  while (const dirent* entry = readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    const bool ours = std::any_of(std::begin(kExtensions), std::end(kExtensions),
                                  [&](std::string_view extension) { return name.ends_with(extension); });
    if (ours && names.size() < kMaxFiles) names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

bool AtLeast(std::string_view version, int major, int minor) { return ReadVersion(version) >= Version{major, minor}; }

Value ConfigList::ToJson() const {
  Value out{{"cniVersion", version}, {"name", name}, {"plugins", plugins}};
  if (disable_check) out["disableCheck"] = true;
  if (disable_gc) out["disableGC"] = true;
  return out;
}

Result<ConfigList> ConfigListFromJson(const Value& value, std::string_view what) {
  const std::string where(what);
  if (!value.is_object()) return InvalidArgument(where + ": not a JSON object");
  ConfigList list;
  list.name = json::StringMember(value, "name");
  if (!IsNetworkName(list.name)) {
    return InvalidArgument(where + ": \"name\" is missing or not of letters, digits and _.-");
  }
  list.version = PickVersion(value);
  list.disable_check = json::BoolMember(value, "disableCheck", false);
  list.disable_gc = json::BoolMember(value, "disableGC", false);
  if (json::Member(value, "plugins") != nullptr) {
    list.plugins = json::ArrayMember(value, "plugins");
    if (list.plugins.empty()) return InvalidArgument(where + ": \"plugins\" is empty or not an array");
  } else {
    list.plugins = {value};
  }
  if (list.plugins.size() > kMaxPlugins) return InvalidArgument(where + ": too many plugins");
  for (size_t i = 0; i < list.plugins.size(); ++i) {
    BERTH_RETURN_IF_ERROR(CheckPlugin(list.plugins[i], where + ": plugins[" + std::to_string(i) + "]"));
  }
  return list;
}

Result<ConfigList> ParseConfigList(std::string_view text, std::string_view what) {
  BERTH_ASSIGN_OR_RETURN(const Value value, json::Parse(text, what, kMaxConfig));
  return ConfigListFromJson(value, what);
}

LoadedConfigs LoadConfigs(const std::string& dir, int max) {
  LoadedConfigs out;
  const Result<std::vector<std::string>> names = ConfigNames(dir);
  if (!names.ok()) {
    out.faults.push_back(names.status().message());
    return out;
  }
  for (const std::string& name : *names) {
    if (max > 0 && out.networks.size() >= static_cast<size_t>(max)) break;
    const std::string path = dir + "/" + name;
    const Result<std::string> text = ReadSmallFile(path, kMaxConfig);
    Result<ConfigList> list = text.ok() ? ParseConfigList(*text, path) : Result<ConfigList>(text.status());
    if (!list.ok()) {
      out.faults.push_back(list.status().message());
      continue;
    }
    out.networks.push_back(*std::move(list));
    out.files.push_back(path);
  }
  return out;
}

}  // namespace berth::network_cni
