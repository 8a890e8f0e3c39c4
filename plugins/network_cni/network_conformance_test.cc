// The hook as the daemon loads it, with the distribution's bridge and host-local, through the suite of its kind.
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/plugin/conformance/network_suite.h"

namespace berth {
namespace {

constexpr char kPlugins[] = "/usr/lib/cni";

ConfigValue::Table MakeConfig(const std::string& directory) {
  const std::string conf_dir = directory + "/net.d";
  std::filesystem::create_directories(conf_dir);
  std::ofstream(conf_dir + "/10-test.conflist")
      << R"({"cniVersion":"1.0.0","name":"test","plugins":[{"type":"bridge","bridge":"berthtest0","isGateway":true,)"
      << R"("ipMasq":false,"ipam":{"type":"host-local","dataDir":")" << directory
      << R"(/leases","ranges":[[{"subnet":"10.78.0.0/28"}]]}}]})";
  ConfigValue::Table config;
  config["conf_dir"].value = conf_dir;
  config["cache_dir"].value = directory + "/cache";
  config["bin_dirs"].value = ConfigValue::Array{ConfigValue{std::string(kPlugins)}};
  return config;
}

INSTANTIATE_TEST_SUITE_P(Cni, NetworkSuite,
                         testing::Values(NetworkUnderTest{"plugins/network_cni/network_cni.so", &MakeConfig}));

}  // namespace
}  // namespace berth
