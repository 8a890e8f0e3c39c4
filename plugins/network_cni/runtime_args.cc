#include "plugins/network_cni/runtime_args.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <map>

namespace berth::network_cni {
namespace {

using json::Value;
using sdk::InvalidArgument;
using sdk::PodNetwork;
using sdk::Result;

constexpr char kIngress[] = "kubernetes.io/ingress-bandwidth";
constexpr char kEgress[] = "kubernetes.io/egress-bandwidth";
constexpr char kIps[] = "network.berth/ips";
constexpr char kMac[] = "network.berth/mac";
constexpr size_t kMaxIps = 16;
// The range the API server accepts, in bits per second.
constexpr uint64_t kMinRate = 1000, kMaxRate = 1'000'000'000'000'000;
// The bandwidth plugin asks for a burst; this one never holds a packet back.
constexpr uint64_t kBurst = UINT32_MAX;

bool SafeInArgs(std::string_view value) {
  return std::none_of(value.begin(), value.end(),
                      [](char c) { return c == ';' || c == '=' || static_cast<unsigned char>(c) < ' ' || c == 0x7f; });
}

Value PortMappings(const PodNetwork& pod) {
  Value out = Value::array();
  for (const sdk::PortMapping& m : pod.port_mappings) {
    if (m.host_port == 0) continue;
    Value entry{{"hostPort", m.host_port}, {"containerPort", m.container_port}, {"protocol", m.protocol}};
    if (!m.host_ip.empty()) entry["hostIP"] = m.host_ip;
    out.push_back(std::move(entry));
  }
  return out;
}

Result<uint64_t> Rate(const PodNetwork& pod, const char* annotation) {
  const auto it = pod.annotations.find(annotation);
  if (it == pod.annotations.end()) return uint64_t{0};
  const std::optional<uint64_t> rate = ParseQuantity(it->second);
  if (rate && *rate >= kMinRate && *rate <= kMaxRate) return *rate;
  return InvalidArgument(std::string("annotation ") + annotation + "=\"" + it->second.substr(0, 64) +
                         "\" is not a bandwidth between 1k and 1P");
}

Result<Value> Bandwidth(const PodNetwork& pod) {
  BERTH_ASSIGN_OR_RETURN(const uint64_t ingress, Rate(pod, kIngress));
  BERTH_ASSIGN_OR_RETURN(const uint64_t egress, Rate(pod, kEgress));
  Value out = Value::object();
  if (ingress > 0) out.update(Value{{"ingressRate", ingress}, {"ingressBurst", kBurst}});
  if (egress > 0) out.update(Value{{"egressRate", egress}, {"egressBurst", kBurst}});
  return out;
}

// "10.0.0.5", "10.0.0.5/24", "fd00::5/64"
bool IsIpWithPrefix(const std::string& text) {
  const size_t slash = text.find('/');
  const std::string address = text.substr(0, slash);
  unsigned char bytes[16];
  const bool ipv4 = inet_pton(AF_INET, address.c_str(), bytes) == 1;
  if (!ipv4 && inet_pton(AF_INET6, address.c_str(), bytes) != 1) return false;
  if (slash == std::string::npos) return true;
  const std::string prefix = text.substr(slash + 1);
  return !prefix.empty() && prefix.size() <= 3 && prefix.find_first_not_of("0123456789") == std::string::npos &&
         std::stoi(prefix) <= (ipv4 ? 32 : 128);
}

// Addresses that the pod asks for, separated by commas.
Result<Value> Ips(const PodNetwork& pod) {
  Value out = Value::array();
  const auto it = pod.annotations.find(kIps);
  if (it == pod.annotations.end()) return out;
  for (size_t from = 0; from <= it->second.size();) {
    const size_t comma = std::min(it->second.find(',', from), it->second.size());
    std::string ip = it->second.substr(from, comma - from);
    ip.erase(0, ip.find_first_not_of(' '));
    ip.erase(ip.find_last_not_of(' ') + 1);
    if (!IsIpWithPrefix(ip) || out.size() == kMaxIps) {
      return InvalidArgument(std::string("annotation ") + kIps + "=\"" + it->second.substr(0, 64) +
                             "\" is not a list of at most 16 addresses, separated by commas");
    }
    out.push_back(std::move(ip));
    from = comma + 1;
  }
  return out;
}

Result<Value> Mac(const PodNetwork& pod) {
  const auto it = pod.annotations.find(kMac);
  if (it == pod.annotations.end()) return Value();
  const std::string& mac = it->second;
  bool good = mac.size() == 17;
  for (size_t i = 0; good && i < mac.size(); ++i) {
    good = i % 3 == 2 ? mac[i] == ':' : isxdigit(static_cast<unsigned char>(mac[i])) != 0;
  }
  if (good) return Value(mac);
  return InvalidArgument(std::string("annotation ") + kMac + "=\"" + mac.substr(0, 64) +
                         "\" is not an address like c2:11:22:33:44:55");
}

Value Dns(const PodNetwork& pod) {
  Value out = Value::object();
  if (!pod.dns_servers.empty()) out["servers"] = pod.dns_servers;
  if (!pod.dns_searches.empty()) out["searches"] = pod.dns_searches;
  if (!pod.dns_options.empty()) out["options"] = pod.dns_options;
  return out;
}

std::optional<double> SuffixFactor(std::string_view suffix) {
  static const std::map<std::string_view, double> kFactors = {
      {"n", 1e-9},    {"u", 1e-6},    {"m", 1e-3},    {"", 1},       {"k", 1e3},     {"M", 1e6},
      {"G", 1e9},     {"T", 1e12},    {"P", 1e15},    {"E", 1e18},   {"Ki", 0x1p10}, {"Mi", 0x1p20},
      {"Gi", 0x1p30}, {"Ti", 0x1p40}, {"Pi", 0x1p50}, {"Ei", 0x1p60}};
  const auto it = kFactors.find(suffix);
  if (it != kFactors.end()) return it->second;
  // "e3", "E-2"
  if (suffix.size() < 2 || suffix.size() > 4 || (suffix[0] != 'e' && suffix[0] != 'E')) return std::nullopt;
  std::string_view digits = suffix.substr(1);
  const bool negative = digits[0] == '-';
  if (digits[0] == '-' || digits[0] == '+') digits.remove_prefix(1);
  int exponent = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    exponent = exponent * 10 + (c - '0');
  }
  if (digits.empty()) return std::nullopt;
  return std::pow(10.0, negative ? -exponent : exponent);
}

}  // namespace

std::optional<uint64_t> ParseQuantity(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0, place = 0;
  size_t i = 0, digits = 0;
  for (; i < text.size() && i < 32; ++i) {
    const char c = text[i];
    if (c == '.' && place == 0) {
      place = 1;
    } else if (c >= '0' && c <= '9') {
      ++digits;
      value = value * 10 + (c - '0');
      place *= 10;
    } else {
      break;
    }
  }
  if (digits == 0) return std::nullopt;
  const std::optional<double> factor = SuffixFactor(text.substr(i));
  if (!factor) return std::nullopt;
  const double result = std::ceil(value / (place == 0 ? 1 : place) * *factor);
  if (!(result >= 0 && result < 0x1p63)) return std::nullopt;
  return static_cast<uint64_t>(result);
}

Result<std::string> CniArgs(const PodNetwork& pod) {
  const std::pair<const char*, const std::string*> values[] = {{"K8S_POD_NAMESPACE", &pod.name_space},
                                                               {"K8S_POD_NAME", &pod.name},
                                                               {"K8S_POD_INFRA_CONTAINER_ID", &pod.pod_id},
                                                               {"K8S_POD_UID", &pod.uid}};
  std::string out = "IgnoreUnknown=1";
  for (const auto& [key, value] : values) {
    if (!SafeInArgs(*value)) {
      return InvalidArgument(std::string(key) + " for CNI_ARGS has a ';', a '=' or a control character");
    }
    out += std::string(";") + key + "=" + *value;
  }
  return out;
}

Result<Value> Capabilities(const PodNetwork& pod) {
  Value out = Value::object();
  const auto put = [&](const char* name, Value value) {
    if (!value.empty()) out[name] = std::move(value);
  };
  put("portMappings", PortMappings(pod));
  BERTH_ASSIGN_OR_RETURN(Value bandwidth, Bandwidth(pod));
  put("bandwidth", std::move(bandwidth));
  put("dns", Dns(pod));
  BERTH_ASSIGN_OR_RETURN(Value ips, Ips(pod));
  put("ips", std::move(ips));
  BERTH_ASSIGN_OR_RETURN(Value mac, Mac(pod));
  put("mac", std::move(mac));
  put("io.kubernetes.cri.pod-annotations", pod.annotations);
  if (!pod.cgroup_path.empty()) out["cgroupPath"] = pod.cgroup_path;
  return out;
}

Value RuntimeConfig(const Value& plugin, const Value& capabilities) {
  Value out;
  const Value* declared = json::Member(plugin, "capabilities");
  if (declared == nullptr || !declared->is_object()) return out;
  for (const auto& [name, value] : capabilities.items()) {
    if (json::BoolMember(*declared, name.c_str(), false)) out[name] = value;
  }
  return out;
}

}  // namespace berth::network_cni
