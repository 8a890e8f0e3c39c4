#include "plugins/network_cni/result.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>

namespace berth::network_cni {
namespace {

using json::Value;

// "10.0.0.2/24" -> "10.0.0.2", in the canonical spelling.
std::optional<std::string> Address(std::string text) {
  text.resize(std::min(text.find('/'), text.size()));
  unsigned char bytes[16];
  char out[INET6_ADDRSTRLEN];
  for (const int family : {AF_INET, AF_INET6}) {
    if (inet_pton(family, text.c_str(), bytes) == 1) return inet_ntop(family, bytes, out, sizeof(out));
  }
  return std::nullopt;
}

// `interface` is an index into `interfaces`; one without `sandbox` is the host's.
bool OfHost(const Value& result, const Value& ip) {
  const auto index = json::UintMember(ip, "interface");
  const std::vector<Value>& interfaces = json::ArrayMember(result, "interfaces");
  return index && *index < interfaces.size() && json::StringMember(interfaces[*index], "sandbox").empty();
}

bool IsIpv6(const std::string& ip) { return ip.find(':') != std::string::npos; }

}  // namespace

std::vector<std::string> PodIps(const Value& result, IpPreference preference) {
  std::vector<std::string> out;
  const auto add = [&](const Value& holder, const char* key) {
    const auto ip = Address(json::StringMember(holder, key));
    if (ip && std::find(out.begin(), out.end(), *ip) == out.end()) out.push_back(*ip);
  };
  for (const Value& ip : json::ArrayMember(result, "ips")) {
    if (!OfHost(result, ip)) add(ip, "address");
  }
  // Versions 0.1.0 and 0.2.0.
  for (const char* family : {"ip4", "ip6"}) {
    if (const Value* ip = json::Member(result, family)) add(*ip, "ip");
  }
  if (preference == IpPreference::kAsGiven) return out;
  const auto first = std::find_if(
      out.begin(), out.end(), [&](const std::string& ip) { return IsIpv6(ip) == (preference == IpPreference::kIpv6); });
  if (first != out.end()) std::rotate(out.begin(), first, first + 1);
  return out;
}

}  // namespace berth::network_cni
