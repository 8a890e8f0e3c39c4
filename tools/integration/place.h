// A throw-away place for one daemon: its directories, configuration, CNI configuration, plugins and an image.
#ifndef BERTH_TOOLS_INTEGRATION_PLACE_H_
#define BERTH_TOOLS_INTEGRATION_PLACE_H_

#include <regex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/image/oci_layout.h"

namespace berth {

inline constexpr char kTestImage[] = "example.org/test/busybox:1";

// What Bazel built for a program that has //:berth and //plugins:all_plugins as data.
std::string BuiltDaemon(const std::string& runfiles);
std::vector<std::string> BuiltPlugins(const std::string& runfiles);

struct PlaceOptions {
  std::string default_handler = "crun";
  std::string crun = "/usr/bin/crun", runc = "/usr/sbin/runc";
  std::string cni_bin_dir;  // searched before the usual ones; "": none
  std::string bridge = "berthtest0";
  std::string subnet = "10.222.0.0/16";
  std::string cgroup_driver = "cgroupfs";
  std::string log_level = "debug";
  int network_timeout_seconds = 60;
  bool moody_network = false;       // a plugin at the end of the CNI chain that does what SetMood says
  std::string state;                // "": inside the place
  std::string images;               // a folder that is made and filled elsewhere; "": inside, with kTestImage
  std::string plugins;              // the same; "": inside, with what Make is given
  bool network_registries = false;  // what is not in images() is asked of registry_oci, as by default
  std::string registry_keys;        // lines of [plugin.registry_oci]
  std::string grpc_keys;            // lines of [grpc]
  bool spare_supervisor = true;     // a supervisor is started ahead of its pod
  std::string pod_keys;             // more lines of [pod]
  std::string more_config;          // tables at the end
};

// The CNI configuration list of bridge and host-local that places use.
std::string NetworkList(const PlaceOptions& options, const std::string& leases);

class Place {
 public:
  // Makes `directory`/NAME and everything in it but a running daemon. `plugins`: files to install.
  static absl::StatusOr<Place> Make(const std::string& directory, const std::vector<std::string>& plugins,
                                    const PlaceOptions& options);

  const std::string& directory() const { return directory_; }
  std::string config() const { return directory_ + "/berth.toml"; }
  std::string socket() const { return state_ + "/berth.sock"; }
  std::string admin_socket() const { return state_ + "/admin.sock"; }
  std::string root() const { return directory_ + "/root"; }
  const std::string& state() const { return state_; }
  const std::string& images() const { return images_; }
  std::string certs() const { return directory_ + "/certs.d"; }  // of registry_oci; made by who needs it
  const std::string& plugins() const { return plugins_; }
  std::string logs() const { return directory_ + "/logs"; }
  std::string leases() const { return directory_ + "/cni/leases"; }
  // A file for each pod that the moody plugin has had an ADD for and no DEL in a good mood.
  std::string held() const { return directory_ + "/cni/held"; }
  std::string daemon_log() const { return directory_ + "/daemon.log"; }

  // What the moody plugin does: "" (its duty), or "hang-add", "garbage-add", "fail-add", "flood-add", "crash-add",
  // "lie-add" (it ends well and has removed the interface), "hang-del", "fail-del", "garbage-del", "fail-both".
  absl::Status SetMood(const std::string& mood) const;

 private:
  Place() = default;
  absl::Status WriteConfig(const PlaceOptions& options) const;
  absl::Status WriteNetwork(const PlaceOptions& options) const;

  std::string directory_, state_, images_, plugins_;
};

// What LeakCheck may find more of in a place, where cgroups are below /`tag`: directories that CNI and the kubelet keep
// for the next pod, and cgroups that the kubelet makes and removes.
std::vector<std::regex> NotLeaks(const Place& place, const std::string& tag);

}  // namespace berth

#endif  // BERTH_TOOLS_INTEGRATION_PLACE_H_
