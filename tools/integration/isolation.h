// A world of its own for integration tests: private mount, network and process namespaces, fresh /run and /var/lib/cni,
// a throw-away directory. Whatever a test or the daemon under test leaves behind goes away with it.
#ifndef BERTH_TOOLS_INTEGRATION_ISOLATION_H_
#define BERTH_TOOLS_INTEGRATION_ISOLATION_H_

#include <functional>
#include <string>

namespace berth {

struct World {
  // On a file system that overlayfs can write to; a short path, so that sockets in it have valid names.
  std::string directory;
  // Names this run and nothing else: cgroups of tests live below /TAG.
  std::string tag;
  // In the lab's systemd: containers get systemd's cgroups. Then processes and /run are the machine's, because systemd
  // has to know them by the same ids and names.
  bool systemd = false;
  // Where Bazel laid out what the test program depends on.
  std::string runfiles;
};

// Runs `body` in such a world, in a child process, and returns what it returned (128 + signal if one killed it). The
// child's namespace has an init that reaps orphans, as a machine has. Needs root. Call it before there are threads.
int RunIsolated(const char* argv0, const std::function<int()>& body);

// The world of this process; only inside RunIsolated.
const World& TheWorld();

}  // namespace berth

#endif  // BERTH_TOOLS_INTEGRATION_ISOLATION_H_
