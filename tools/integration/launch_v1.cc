// Stands in for a pod supervisor's program: reads what this daemon launches supervisors with and executes the frozen
// older program beside it, `frozen`, with the same in the form of its time.
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "core/supervisor/wire/codec.h"
#include "core/supervisor/wire/messages.h"

namespace {

// As it was when supervisor-v1 was built.
struct LaunchSpecV1 {
  uint32_t version = 1;
  std::string id, directory, build_id, hostname, user_ns_path, netns_pin, shm_path;
  bool new_network = false, new_ipc = false, new_uts = false, shared_pid = false;
  uint64_t shm_size = 0;
  std::vector<berth::wire::Sysctl> sysctls;
  std::vector<berth::wire::IdMapping> uid_map, gid_map;
  template <class A>
  void Fields(A& a) {
    a(version, id, directory, build_id, hostname, user_ns_path, netns_pin, shm_path);
    a(new_network, new_ipc, new_uts, shared_pid, shm_size, sysctls, uid_map, gid_map);
  }
};

LaunchSpecV1 Older(const berth::wire::LaunchSpec& spec) {
  LaunchSpecV1 older;
  older.id = spec.id;
  older.directory = spec.directory;
  older.build_id = spec.build_id;
  older.hostname = spec.hostname;
  older.user_ns_path = spec.user_ns_path;
  older.netns_pin = spec.netns_pin;
  older.shm_path = spec.shm_path;
  older.new_network = spec.new_network;
  older.new_ipc = spec.new_ipc;
  older.new_uts = spec.new_uts;
  older.shared_pid = spec.shared_pid;
  older.shm_size = spec.shm_size;
  older.sysctls = spec.sysctls;
  older.uid_map = spec.uid_map;
  older.gid_map = spec.gid_map;
  return older;
}

}  // namespace

int main(int, char** argv) {
  std::string bytes;
  char buffer[4096];
  for (ssize_t n; (n = read(0, buffer, sizeof(buffer))) > 0;) bytes.append(buffer, static_cast<size_t>(n));
  berth::wire::LaunchSpec spec;
  if (!berth::wire::Decode(bytes, &spec)) {
    fprintf(stderr, "13 launch_v1: the daemon's launch specification is not what this was built with\n");
    return 1;
  }
  const std::string older = berth::wire::Encode(Older(spec));
  const int input = memfd_create("launch", 0);
  if (input < 0 || write(input, older.data(), older.size()) != static_cast<ssize_t>(older.size())) return 1;
  lseek(input, 0, SEEK_SET);
  dup2(input, 0);
  close(input);
  const std::string self = argv[0];
  execv((self.substr(0, self.rfind('/')) + "/frozen").c_str(), argv);
  perror("13 launch_v1: execute the frozen supervisor");
  return 1;
}
