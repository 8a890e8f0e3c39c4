// The node in the machine of cuts_test, which starts it again after each cut of
// the machine's power:
//
//   cuts_node WORK SEED BOOT [last]
//
// WORK is a directory of the host, with the images, the plugins and the ledger.
// The daemon's state is on the machine's own disk, its log on the host. Checks
// what the cut has left, unless nobody has worked on the node before, then puts
// it to work until the power goes. With `last` it ends after the checks, and
// removes everything. Exit status: 1 when something was wrong.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/cri/client/cri_client.h"
#include "tools/integration/daemon_process.h"
#include "tools/integration/isolation.h"
#include "tools/integration/place.h"
#include "tools/load/cuts_check.h"
#include "tools/load/cuts_load.h"

namespace berth {
namespace {

constexpr char kDirectory[] = "/var/lib/uml/node";
constexpr absl::Duration kLoad = absl::Minutes(3);  // far beyond what cuts_test waits before it cuts

struct Arguments {
  std::string work;
  uint64_t seed = 0, boot = 0;
  bool last = false;
};

absl::StatusOr<std::vector<std::string>> Live(const Arguments& arguments, Ledger* ledger,
                                              const LedgerAccount& account) {
  PlaceOptions options;
  options.images = arguments.work + "/images";
  options.plugins = arguments.work + "/plugins";
  options.state = "/run/berth";
  options.log_level = "info";
  ASSIGN_OR_RETURN(const Place place, Place::Make(kDirectory, {}, options));
  ASSIGN_OR_RETURN(DaemonProcess daemon, DaemonProcess::Start(BuiltDaemon(TheWorld().runfiles), place.config(),
                                                              arguments.work + "/daemon.log"));
  RETURN_IF_ERROR(CriClient(place.socket()).WaitUntilServing(absl::Minutes(1)));
  ledger->Write(LedgerVerb::kServing, "");

  CutsNode node;
  node.place = &place;
  node.ledger = ledger;
  node.options.socket = place.socket();
  node.options.logs = place.logs();
  node.options.cgroup_parent = "/" + TheWorld().tag + "/pods";
  node.options.seed = arguments.seed * 10'000 + arguments.boot;
  node.baseline = arguments.work + "/baseline";
  if (account.counts.count(LedgerVerb::kLoading) == 0) {
    RETURN_IF_ERROR(NoteWhatANodeHas(node));
  } else if (std::vector<std::string> faults = CheckAfterACut(node, account); !faults.empty()) {
    return faults;
  } else {
    ledger->Write(LedgerVerb::kChecked, absl::StrCat(arguments.boot));
  }
  if (arguments.last) {
    std::vector<std::string> faults = CheckTheEnd(node);
    const auto ended = daemon.Terminate(absl::Minutes(1));
    if (!ended.ok() || *ended != 0) faults.push_back("the daemon does not end as it should");
    return faults;
  }
  ledger->Write(LedgerVerb::kLoading, "");
  std::vector<std::string> faults = RunCutsClients(node, kLoad);
  if (faults.empty()) faults.push_back("nobody has cut the power");
  return faults;
}

int Run(const Arguments& arguments) {
  const std::string path = arguments.work + "/ledger";
  const LedgerAccount account = ReadLedger(path).value_or(LedgerAccount());
  const auto ledger = Ledger::Open(path);
  const auto boot_id = BootId();
  if (!ledger.ok() || !boot_id.ok()) {
    std::fprintf(stderr, "%s %s\n", ledger.status().ToString().c_str(), boot_id.status().ToString().c_str());
    return 1;
  }
  (*ledger)->Write(LedgerVerb::kBoot, *boot_id);
  auto faults = Live(arguments, ledger->get(), account);
  if (!faults.ok()) faults = std::vector<std::string>{faults.status().ToString()};
  for (const std::string& fault : *faults) {
    std::fprintf(stderr, "fault: %s\n", fault.c_str());
    (*ledger)->Write(LedgerVerb::kFault, fault);
  }
  return faults->empty() ? 0 : 1;
}

}  // namespace
}  // namespace berth

int main(int argc, char** argv) {
  berth::Arguments arguments;
  if (argc < 4 || argc > 5 || !absl::SimpleAtoi(argv[2], &arguments.seed) ||
      !absl::SimpleAtoi(argv[3], &arguments.boot) || (argc == 5 && std::strcmp(argv[4], "last") != 0)) {
    std::fprintf(stderr, "usage: cuts_node WORK SEED BOOT [last]\n");
    return 2;
  }
  arguments.work = argv[1];
  arguments.last = argc == 5;
  return berth::RunIsolated(argv[0], [&] { return berth::Run(arguments); });
}
