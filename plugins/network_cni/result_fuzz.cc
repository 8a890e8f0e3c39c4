// Any bytes as the result of a CNI plugin, and as what was kept of an attachment: in each version's form the addresses
// are the same ones, but that the oldest form has room for one of each family.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/network_cni/attachment.h"
#include "plugins/network_cni/result.h"
#include "plugins/network_cni/result_version.h"

namespace {

using berth::network_cni::ConvertResult;
using berth::network_cni::IpPreference;
using berth::network_cni::PodIps;

void TryResult(const berth::json::Value& result) {
  for (const char* to : {"0.2.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}) {
    const auto converted = ConvertResult(result, to);
    if (!converted.ok()) return;
    const auto again = ConvertResult(*converted, to);
    if (!again.ok() || *again != *converted) abort();
    for (const auto preference : {IpPreference::kAsGiven, IpPreference::kIpv4, IpPreference::kIpv6}) {
      std::vector<std::string> ips = PodIps(*converted, preference);
      std::sort(ips.begin(), ips.end());
      if (std::adjacent_find(ips.begin(), ips.end()) != ips.end()) abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto value = berth::json::Parse(text, "fuzz", 1 << 20);
  if (value.ok() && value->is_object()) TryResult(*value);
  const auto kept = berth::network_cni::DecodeAttachments(text, "fuzz");
  if (!kept.ok()) return 0;
  const auto again = berth::network_cni::DecodeAttachments(berth::network_cni::EncodeAttachments(*kept), "again");
  if (!again.ok() || again->size() != kept->size()) abort();
  return 0;
}
