// What every network hook must do. In a test of the plugin's own, with the .so among its `data`:
//
//   INSTANTIATE_TEST_SUITE_P(Mine, NetworkSuite, testing::Values(NetworkUnderTest{"plugins/mine/mine.so",
//   &MakeConfig}));
//
// Runs as root. The whole program enters a network namespace of its own first: that is the "host" of its pods, and what
// the hook makes there (bridges, rules) goes with it.
#ifndef BERTH_CORE_PLUGIN_CONFORMANCE_NETWORK_SUITE_H_
#define BERTH_CORE_PLUGIN_CONFORMANCE_NETWORK_SUITE_H_

#include <map>
#include <memory>
#include <ostream>
#include <string>

#include "core/base/unique_fd.h"
#include "core/plugin/conformance/plugin_under_test.h"
#include "core/plugin/network_hook.h"
#include "gtest/gtest.h"

namespace berth {

struct NetworkUnderTest {
  std::string so;
  // With fewer than 32 addresses to give the suite also finds those that are never given back.
  ConfigMaker config;
};
inline void PrintTo(const NetworkUnderTest& test, std::ostream* out) { *out << test.so; }

class NetworkSuite : public testing::TestWithParam<NetworkUnderTest> {
 protected:
  NetworkSuite();
  void SetUp() override;
  void TearDown() override;

  // A new instance, as after a restart.
  void Restart();
  // A pod with a network namespace of its own that the suite holds.
  PodNetwork NewPod(const std::string& id);
  // The pod as it is after a reboot: the namespace is gone.
  PodNetwork WithoutNamespace(PodNetwork pod);
  absl::StatusOr<NetworkResult> Setup(PodNetwork& pod);

  PluginUnderTest plugin_;
  std::unique_ptr<NetworkHook> hook_;
  std::map<std::string, UniqueFd> namespaces_;  // by the pod's id
};

}  // namespace berth

#endif  // BERTH_CORE_PLUGIN_CONFORMANCE_NETWORK_SUITE_H_
