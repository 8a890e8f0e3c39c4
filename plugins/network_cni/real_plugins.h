// Tests with the reference plugins of the distribution, on the real kernel: a bridge with an IPv4 and an IPv6 range.
// Who links this gets a main() that runs the tests in network and mount namespaces of their own: nothing is left on the
// machine.
#ifndef BERTH_PLUGINS_NETWORK_CNI_REAL_PLUGINS_H_
#define BERTH_PLUGINS_NETWORK_CNI_REAL_PLUGINS_H_

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "plugins/network_cni/cni_network.h"
#include "plugins/network_cni/fake_plugins.h"

namespace berth::network_cni {

// A network namespace held by a file, as the daemon holds a pod's.
class PodNamespace {
 public:
  explicit PodNamespace(std::string path);
  ~PodNamespace() { Drop(); }
  PodNamespace(const PodNamespace&) = delete;
  PodNamespace& operator=(const PodNamespace&) = delete;

  void Drop();
  // Runs `body` on a thread that is in the namespace.
  void Inside(const std::function<void()>& body) const;
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

// What a command prints, on both streams.
std::string Output(const std::vector<std::string>& argv);

class RealPlugins : public ::testing::Test {
 protected:
  void SetUp() override;

  CniNetwork::Options Options();
  // The configuration of bridge, as JSON; `more`: further members, each with a comma behind it.
  std::string Bridge(const std::string& more = "") const;
  // Addresses that host-local has given out.
  std::vector<std::string> Leases() const;

  FakePlugins fake_;
  std::unique_ptr<CniNetwork> network_;
};

}  // namespace berth::network_cni

#endif  // BERTH_PLUGINS_NETWORK_CNI_REAL_PLUGINS_H_
