// What exists on the machine that a pod or container could have left behind, as a list of names.
//
// Meant for a world of RunIsolated(): every process, mount and network interface there belongs to the test.
#ifndef BERTH_TOOLS_INTEGRATION_LEAK_CHECK_H_
#define BERTH_TOOLS_INTEGRATION_LEAK_CHECK_H_

#include <sys/types.h>

#include <chrono>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace berth {

class LeakCheck {
 public:
  struct Scope {
    std::vector<std::string> trees;     // every file, directory, link and socket below these
    std::string cgroup_mark;            // cgroups with this in their path
    pid_t daemon = 0;                   // its descriptors are counted; itself is no leak. 0: none
    std::vector<std::regex> not_leaks;  // lines that match may come
  };

  // One line a thing, e.g. "mount overlay on /x", "process sleep 100", "file /run/netns/a".
  using Snapshot = std::multiset<std::string>;

  explicit LeakCheck(Scope scope) : scope_(std::move(scope)) {}

  Snapshot Take() const;
  // The same once `spares` processes of a supervisor that is started ahead of its pod are there and all is at rest;
  // they stay as long as the daemon does. Waits for up to half a minute.
  Snapshot TakeWithSpare(int spares = 2) const;

  // What is there now and was not in `before`. Waits up to `settle` for the list to become empty.
  std::vector<std::string> Leaks(const Snapshot& before, std::chrono::milliseconds settle) const;

  // After a restart of the daemon.
  void SetDaemon(pid_t daemon) { scope_.daemon = daemon; }

 private:
  Scope scope_;
};

}  // namespace berth

#endif  // BERTH_TOOLS_INTEGRATION_LEAK_CHECK_H_
