// What the tests share: a directory of their own, a pod, CNI plugins written as shell scripts, and commands run for
// real.
#ifndef BERTH_PLUGINS_NETWORK_CNI_FAKE_PLUGINS_H_
#define BERTH_PLUGINS_NETWORK_CNI_FAKE_PLUGINS_H_

#include <string>
#include <vector>

#include "plugins/network_cni/cni_network.h"

namespace berth::network_cni {

// conf/, bin/ and cache/ in a new directory, removed with all that is in it.
class FakePlugins {
 public:
  FakePlugins();
  ~FakePlugins();
  FakePlugins(const FakePlugins&) = delete;
  FakePlugins& operator=(const FakePlugins&) = delete;

  const std::string& dir() const { return dir_; }

  void WriteConfig(const std::string& name, const std::string& text) const;
  // A shell script. Each run first appends a line "COMMAND TYPE IFNAME NETNS" to the log, and leaves its input in
  // dir()/TYPE.COMMAND.in and its environment in dir()/TYPE.COMMAND.env. VERSION is not in the log and is answered with
  // what SetVersions() said, or nothing; the file dir()/TYPE.VERSIONS has a line for each time it was asked.
  void AddPlugin(const std::string& type, const std::string& body) const;
  // A plugin that answers ADD with `ip`, and all else with nothing.
  void AddGoodPlugin(const std::string& type, const std::string& ip) const;

  void SetVersions(const std::string& type, const std::string& answer) const;

  std::vector<std::string> TakeLog() const;
  std::string Read(const std::string& name) const;  // of dir(); "" when it is not there

  // With a timeout of a second; plugins are believed; warnings go to `warnings`.
  CniNetwork::Options Options();
  std::vector<std::string> warnings;

 private:
  std::string dir_;
};

// Runs commands as the daemon does.
Spawn RealSpawn();

sdk::PodNetwork TestPod(const std::string& id, const std::string& netns);

}  // namespace berth::network_cni

#endif  // BERTH_PLUGINS_NETWORK_CNI_FAKE_PLUGINS_H_
