#include "plugins/network_cni/config_list.h"

#include <algorithm>
#include <optional>

#include "plugins/network_cni/version.h"

namespace berth::network_cni {
namespace {

using json::Value;
using sdk::InvalidArgument;
using sdk::Result;
using sdk::Status;

constexpr size_t kMaxVersions = 64;

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

// Of `cniVersion` and, since 1.1, `cniVersions`.
Result<std::vector<std::string>> AllowedVersions(const Value& value, const std::string& where) {
  std::vector<Value> all = json::ArrayMember(value, "cniVersions");
  if (json::Member(value, "cniVersions") != nullptr && all.empty()) {
    return InvalidArgument(where + ": \"cniVersions\" is empty or not an array");
  }
  if (const Value* one = json::Member(value, "cniVersion"); one != nullptr && *one != "") all.push_back(*one);
  if (all.empty()) return std::vector<std::string>{std::string(kOldestVersionText)};
  if (all.size() > kMaxVersions) return InvalidArgument(where + ": too many \"cniVersions\"");
  std::vector<std::pair<Version, std::string>> known;
  std::string newer;
  for (const Value& v : all) {
    const std::string text = v.is_string() ? v.get<std::string>() : "";
    const std::optional<Version> version = ParseVersion(text);
    if (!version) return InvalidArgument(where + ": a \"cniVersion\" is not a version like \"1.0.0\"");
    if (*version > kNewestVersion) {
      newer = text;
    } else if (std::find(known.begin(), known.end(), std::pair(*version, text)) == known.end()) {
      known.emplace_back(*version, text);
    }
  }
  if (known.empty()) {
    return InvalidArgument(where + ": \"cniVersion\" " + newer + " is newer than " + std::string(kNewestVersionText) +
                           ", the newest that is supported");
  }
  std::sort(known.rbegin(), known.rend());
  std::vector<std::string> out;
  out.reserve(known.size());
  for (auto& [version, text] : known) out.push_back(std::move(text));
  return out;
}

// The reference library takes these as booleans and as strings.
Result<bool> ReadFlag(const Value& value, const char* key, const std::string& where) {
  const Value* flag = json::Member(value, key);
  if (flag == nullptr) return false;
  if (flag->is_boolean()) return flag->get<bool>();
  std::string text = flag->is_string() ? flag->get<std::string>() : "";
  std::transform(text.begin(), text.end(), text.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  if (text == "true" || text == "false") return text == "true";
  return InvalidArgument(where + ": \"" + key + "\" is neither true nor false");
}

Status ReadPlugins(const Value& value, const std::string& where, ConfigList* list) {
  const bool single = json::Member(value, "plugins") == nullptr && json::Member(value, "type") != nullptr;
  if (single) {
    list->plugins = {value};
    return CheckPlugin(value, where);
  }
  BERTH_ASSIGN_OR_RETURN(const bool inlined_only, ReadFlag(value, "loadOnlyInlinedPlugins", where));
  list->wants_folder = !inlined_only;
  list->plugins = json::ArrayMember(value, "plugins");
  if (list->plugins.empty() && (inlined_only || json::Member(value, "plugins") != nullptr)) {
    return InvalidArgument(where + ": \"plugins\" is empty or not an array");
  }
  if (list->plugins.size() > kMaxPlugins) return InvalidArgument(where + ": too many plugins");
  for (size_t i = 0; i < list->plugins.size(); ++i) {
    BERTH_RETURN_IF_ERROR(CheckPlugin(list->plugins[i], where + ": plugins[" + std::to_string(i) + "]"));
  }
  return {};
}

}  // namespace

Status CheckPlugin(const Value& plugin, const std::string& where) {
  if (!plugin.is_object()) return InvalidArgument(where + " is not an object");
  const std::string type = json::StringMember(plugin, "type");
  if (type.empty()) return InvalidArgument(where + " has no \"type\"");
  if (!IsPluginType(type)) return InvalidArgument(where + ": \"type\" is not a plain file name");
  return {};
}

Value ConfigList::ToJson() const {
  Value out{{"cniVersion", version}, {"name", name}, {"plugins", plugins}, {"loadOnlyInlinedPlugins", true}};
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
  BERTH_ASSIGN_OR_RETURN(list.versions, AllowedVersions(value, where));
  list.version = list.versions[0];
  BERTH_ASSIGN_OR_RETURN(list.disable_check, ReadFlag(value, "disableCheck", where));
  BERTH_ASSIGN_OR_RETURN(list.disable_gc, ReadFlag(value, "disableGC", where));
  BERTH_RETURN_IF_ERROR(ReadPlugins(value, where, &list));
  return list;
}

Result<ConfigList> ParseConfigList(std::string_view text, std::string_view what) {
  BERTH_ASSIGN_OR_RETURN(const Value value, json::Parse(text, what, kMaxConfig));
  return ConfigListFromJson(value, what);
}

}  // namespace berth::network_cni
