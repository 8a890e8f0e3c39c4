// The text of a hosts.toml: which servers to ask for the images of one registry, and how. The format is containerd's
// (docs/hosts.md there).
#ifndef BERTH_PLUGINS_REGISTRY_OCI_HOSTS_TOML_H_
#define BERTH_PLUGINS_REGISTRY_OCI_HOSTS_TOML_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/sdk/status.h"

namespace berth::registry_oci {

// One table: [host."URL"], or the top level, which is about `server`.
struct HostTable {
  std::string url;                   // as written; "" at the top level of a file without `server`
  bool pull = true, resolve = true;  // `capabilities`; push is not Berth's business
  std::vector<std::string> ca;       // paths as written
  std::vector<std::pair<std::string, std::string>> client;  // certificate, key or ""
  std::optional<bool> skip_verify;
  std::vector<std::pair<std::string, std::string>> headers;
  bool override_path = false;
  std::optional<int64_t> dial_timeout_ms;
};

struct HostsToml {
  HostTable server;
  std::vector<HostTable> hosts;      // in the file's order
  std::vector<std::string> unknown;  // keys that mean nothing, "host.\"URL\".key" (line N)
};

// `file` names the text in errors, which say file, line and key but never a header's value. kInvalidArgument for what
// is not TOML, nests too deep, has a value of the wrong type or makes no sense; kResourceExhausted for more than 256
// KiB.
sdk::Result<HostsToml> ParseHostsToml(std::string_view text, const std::string& file);

// "1m30s", "500ms", "2.5s": Go's time.ParseDuration, without signs and below milliseconds. At most a day.
std::optional<int64_t> ParseDurationMs(std::string_view text);

}  // namespace berth::registry_oci

#endif  // BERTH_PLUGINS_REGISTRY_OCI_HOSTS_TOML_H_
