// The fixture of tests that replace the daemon while it serves.
#ifndef BERTH_TOOLS_INTEGRATION_UPGRADE_FIXTURE_H_
#define BERTH_TOOLS_INTEGRATION_UPGRADE_FIXTURE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/integration/daemon_test.h"

namespace berth {

class UpgradeFixture : public DaemonTest {
 protected:
  // Connections are short-lived, so that a daemon which has handed over ends soon.
  UpgradeFixture();

  // `berth upgrade`, as an operator calls it: the error is what it prints. The daemon is the successor then.
  absl::Status Upgrade(const std::string& binary = "");
  // Who serves by now, also after an upgrade that failed: "" when nobody does.
  std::string Serving();
  // Takes whoever serves for the daemon. False when nobody does.
  bool AdoptServing();
  // Starts a daemon, and again when it ends because another one is not quite dead yet. False when none comes to serve.
  bool StartAsAManagerDoes();
  // Waits until every daemon that has handed over has ended by itself.
  void ExpectRetired();

  // A program that behaves as the daemon's, with these variables in its environment.
  std::string BinaryWith(const std::string& name, const std::string& variables);

  std::vector<DaemonProcess> retired_;
};

}  // namespace berth

#endif  // BERTH_TOOLS_INTEGRATION_UPGRADE_FIXTURE_H_
