#include "tools/integration/place.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "core/base/file.h"
#include "core/base/status.h"

namespace berth {
namespace {

using Json = nlohmann::json;

// A CNI plugin as a script: hands on what the plugin before it answered, or misbehaves as the file beside it says.
constexpr char kMoody[] = R"sh(#!/bin/sh
mood=$(cat '@MOOD@' 2>/dev/null)
[ "$CNI_COMMAND" != ADD ] || : > '@HELD@'/"$CNI_CONTAINERID"
case "$CNI_COMMAND-$mood" in
  VERSION-*) echo '{"cniVersion":"0.4.0","supportedVersions":["0.3.1","0.4.0","1.0.0"]}' ;;
  ADD-hang-add | DEL-hang-del) sleep 1000 ;;
  ADD-garbage-add | DEL-garbage-del) echo 'no {json'; [ "$CNI_COMMAND" = ADD ] ;;
  ADD-flood-add) head -c 3000000 /dev/zero ;;
  ADD-crash-add) kill -SEGV $$ ;;
  ADD-lie-add) nsenter --net="$CNI_NETNS" ip link del "$CNI_IFNAME" && jq .prevResult ;;
  ADD-fail-add | DEL-fail-del | ???-fail-both)
    echo '{"cniVersion":"0.4.0","code":11,"msg":"not in the mood","details":"for '"$CNI_COMMAND"'"}'
    exit 1 ;;
  ADD-*) jq .prevResult ;;
  DEL-*) rm -f '@HELD@'/"$CNI_CONTAINERID" ;;
esac
)sh";

absl::Status Write(const std::string& path, absl::string_view text, mode_t mode = 0644) {
  return WriteFileAtomic(path, text, mode, Durability::kVolatile);
}

std::string Quoted(const std::string& text) { return Json(text).dump(); }

}  // namespace

std::string BuiltDaemon(const std::string& runfiles) { return runfiles + "/core/berth"; }

std::vector<std::string> BuiltPlugins(const std::string& runfiles) {
  std::vector<std::string> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(runfiles + "/plugins", error)) {
    if (entry.path().extension() == ".so") found.push_back(entry.path().string());
  }
  return found;
}

absl::StatusOr<Place> Place::Make(const std::string& directory, const std::vector<std::string>& plugins,
                                  const PlaceOptions& options) {
  Place place;
  place.directory_ = directory;
  place.state_ = options.state.empty() ? directory + "/state" : options.state;
  place.images_ = options.images.empty() ? directory + "/images" : options.images;
  place.plugins_ = options.plugins.empty() ? directory + "/plugins" : options.plugins;
  for (const char* part : {"root", "logs", "cni/conf", "cni/bin", "cni/leases", "cni/held"}) {
    RETURN_IF_ERROR(MakeDirs(absl::StrCat(directory, "/", part)));
  }
  RETURN_IF_ERROR(MakeDirs(place.images()));
  RETURN_IF_ERROR(MakeDirs(place.plugins()));
  for (const std::string& plugin : plugins) {
    ASSIGN_OR_RETURN(const std::string object, ReadFile(plugin, 256 << 20));
    RETURN_IF_ERROR(Write(place.plugins() + plugin.substr(plugin.rfind('/')), object, 0755));
  }
  if (options.images.empty()) RETURN_IF_ERROR(AddBusyboxImage(place.images() + "/busybox", kTestImage).status());
  RETURN_IF_ERROR(place.WriteConfig(options));
  RETURN_IF_ERROR(place.WriteNetwork(options));
  return place;
}

absl::Status Place::WriteConfig(const PlaceOptions& options) const {
  return Write(config(),
               absl::StrCat("root = ", Quoted(root()), "\nstate = ", Quoted(state_), R"(
[grpc]
socket = )",
                            Quoted(socket()), "\n", options.grpc_keys, R"(
[log]
level = )",
                            Quoted(options.log_level), R"(
[plugins]
directories = [)",
                            Quoted(plugins()), R"(]
[network]
timeout_seconds = )",
                            options.network_timeout_seconds, R"(
[pod]
spare_supervisor = )",
                            options.spare_supervisor ? "true" : "false", "\n", options.pod_keys, R"(
[runtime]
default_handler = )",
                            Quoted(options.default_handler), R"(
cgroup_driver = )",
                            Quoted(options.cgroup_driver), R"(
[runtime.handlers.crun]
executor = "executor_oci"
binary = )",
                            Quoted(options.crun), R"(
[runtime.handlers.runc]
executor = "executor_oci"
binary = )",
                            Quoted(options.runc), R"(
[plugin.registry_layout]
directories = [)",
                            Quoted(images()), R"(]
[plugin.registry_oci]
config_path = [)",
                            Quoted(certs()), "]\n", options.registry_keys,
                            options.network_registries ? "" : "[image]\nregistries = [\"registry_layout\"]\n",
                            R"([plugin.network_cni]
conf_dir = )",
                            Quoted(directory_ + "/cni/conf"), "\nbin_dirs = [",
                            Quoted(options.cni_bin_dir.empty() ? directory_ + "/cni/bin" : options.cni_bin_dir),
                            ", \"/usr/lib/cni\", \"/opt/cni/bin\"]\n", options.more_config));
}

std::string NetworkList(const PlaceOptions& options, const std::string& leases) {
  Json plugins = Json::array();
  plugins.push_back({{"type", "bridge"},
                     {"bridge", options.bridge},
                     {"isGateway", true},
                     {"ipMasq", false},
                     {"ipam",
                      {{"type", "host-local"},
                       {"dataDir", leases},
                       {"ranges", Json::array({Json::array({Json{{"subnet", options.subnet}}})})},
                       {"routes", Json::array({Json{{"dst", "0.0.0.0/0"}}})}}}});
  if (options.moody_network) plugins.push_back({{"type", "moody"}});
  return Json{{"cniVersion", "0.4.0"}, {"name", "berthtest"}, {"plugins", plugins}}.dump(2);
}

absl::Status Place::WriteNetwork(const PlaceOptions& options) const {
  RETURN_IF_ERROR(Write(directory_ + "/cni/conf/10-berthtest.conflist", NetworkList(options, leases())));
  return Write(directory_ + "/cni/bin/moody",
               absl::StrReplaceAll(kMoody, {{"@MOOD@", directory_ + "/cni/mood"}, {"@HELD@", held()}}), 0755);
}

std::vector<std::regex> NotLeaks(const Place& place, const std::string& tag) {
  std::vector<std::regex> lines;
  for (const char* line :
       {"directory LEASES/[^/]*", "file LEASES/[^/]*/(lock|last_reserved_ip[.].*)", "directory LOGS/.*", "file LOGS/.*",
        "directory .*/root/cni", "mount tmpfs on /run/netns", "cgroup .*/TAG(/pods)?",
        "cgroup .*/TAG.slice(/TAG-pods.slice)?", "directory /run/systemd/transient", "interface BRIDGE",
        "directory /var/lib/cni/(cache|results|networks)", "(file|directory) .*/daemon[.]log"}) {
    lines.emplace_back(absl::StrReplaceAll(
        line, {{"LEASES", place.leases()}, {"LOGS", place.logs()}, {"TAG", tag}, {"BRIDGE", "berthtest0"}}));
  }
  return lines;
}

absl::Status Place::SetMood(const std::string& mood) const { return Write(directory_ + "/cni/mood", mood); }

}  // namespace berth
