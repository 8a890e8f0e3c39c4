#include "plugins/network_cni/result_version.h"

#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>

#include "plugins/network_cni/version.h"

namespace berth::network_cni {
namespace {

using json::Value;

// Versions with the same members.
enum class Form {
  kTwoAddresses,  // 0.1.0, 0.2.0: "ip4" and "ip6", each with its routes
  kVersionedIps,  // 0.3.0 to 0.4.0: "interfaces", "ips" with a "version", "routes"
  kIps,           // 1.0.0: the same without that "version"
  kDetailed,      // 1.1.0: more about interfaces and routes
};

Form FormOf(const Version& version) {
  if (version >= Version{1, 1, 0}) return Form::kDetailed;
  if (version >= Version{1, 0, 0}) return Form::kIps;
  return version >= Version{0, 3, 0} ? Form::kVersionedIps : Form::kTwoAddresses;
}

bool IsIpv6(const Value& holder, const char* key) {
  return json::StringMember(holder, key).find(':') != std::string::npos;
}

void Copy(const Value& from, const char* key, Value* to, const char* as) {
  if (const Value* member = json::Member(from, key)) (*to)[as] = *member;
}

// Leaves only the members that `keys` name in each object of the list `key`.
void Keep(Value* result, const char* key, std::initializer_list<const char*> keys) {
  if (json::Member(*result, key) == nullptr) return;
  Value list = Value::array();
  for (const Value& item : json::ArrayMember(*result, key)) {
    Value kept = Value::object();
    for (const char* k : keys) Copy(item, k, &kept, k);
    list.push_back(std::move(kept));
  }
  (*result)[key] = std::move(list);
}

Value FromTwoAddresses(const Value& old) {
  Value out = Value::object(), ips = Value::array(), routes = Value::array();
  for (const char* family : {"ip4", "ip6"}) {
    const Value* one = json::Member(old, family);
    if (one == nullptr || !one->is_object()) continue;
    Value ip{{"version", family + 2}};
    Copy(*one, "ip", &ip, "address");
    Copy(*one, "gateway", &ip, "gateway");
    ips.push_back(std::move(ip));
    for (const Value& route : json::ArrayMember(*one, "routes")) routes.push_back(route);
  }
  out["ips"] = std::move(ips);
  out["routes"] = std::move(routes);
  Copy(old, "dns", &out, "dns");
  return out;
}

// Only the first address of each family has a place.
Value ToTwoAddresses(const Value& result) {
  Value out = Value::object();
  for (const char* family : {"ip4", "ip6"}) {
    const bool ipv6 = std::string_view(family) == "ip6";
    for (const Value& ip : json::ArrayMember(result, "ips")) {
      if (json::StringMember(ip, "address").empty() || IsIpv6(ip, "address") != ipv6) continue;
      Value one = Value::object();
      Copy(ip, "address", &one, "ip");
      Copy(ip, "gateway", &one, "gateway");
      for (const Value& route : json::ArrayMember(result, "routes")) {
        if (IsIpv6(route, "dst") == ipv6) one["routes"].push_back(route);
      }
      out[family] = std::move(one);
      break;
    }
  }
  Copy(result, "dns", &out, "dns");
  return out;
}

void SetIpVersions(Value* result, bool wanted) {
  const auto ips = result->find("ips");
  if (ips == result->end() || !ips->is_array()) return;
  for (Value& ip : *ips) {
    if (!ip.is_object()) continue;
    if (wanted) {
      ip["version"] = IsIpv6(ip, "address") ? "6" : "4";
    } else {
      ip.erase("version");
    }
  }
}

}  // namespace

sdk::Result<Value> ConvertResult(Value result, const std::string& to) {
  const std::string from = json::StringMember(result, "cniVersion");
  const std::optional<Version> target = ParseVersion(to);
  const std::optional<Version> source = from.empty() ? target : ParseVersion(from);
  if (!source || !target || *source > kNewestVersion || *target > kNewestVersion) {
    return sdk::InvalidArgument("a result of version \"" + from.substr(0, 32) + "\", which is not known");
  }
  const Form was = FormOf(*source), wanted = FormOf(*target);
  if (was != wanted) {
    if (was == Form::kTwoAddresses) result = FromTwoAddresses(result);
    if (wanted < Form::kDetailed) {
      Keep(&result, "interfaces", {"name", "mac", "sandbox"});
      Keep(&result, "routes", {"dst", "gw"});
    }
    SetIpVersions(&result, wanted == Form::kVersionedIps);
    if (wanted == Form::kTwoAddresses) result = ToTwoAddresses(result);
  }
  result["cniVersion"] = to;
  return result;
}

}  // namespace berth::network_cni
