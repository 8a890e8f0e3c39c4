#include "core/supervisor/program/launch.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/supervisor/program/namespaces.h"
#include "core/supervisor/program/pod_init.h"
#include "core/supervisor/program/user_namespace.h"

namespace berth::supervisor {
namespace {

constexpr size_t kMaxSpec = 1 << 20;

// The lock is held as long as this process lives: it says whether the pod has a supervisor.
Error OpenDirectory(const std::string& path, UniqueFd* directory, UniqueFd* exits) {
  size_t slash = path.rfind('/');
  if (slash > 0) BERTH_TRY(MakeDirs(std::string_view(path).substr(0, slash), 0755));
  BERTH_TRY(MakeDirs(path, 0700));
  directory->reset(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!*directory) return Errno(Concat({"open ", path}));
  if (flock(directory->get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return Fail(wire::kAlreadyExists, Concat({"a supervisor of ", path, " lives"}));
    return Errno(Concat({"lock ", path}));
  }
  if (mkdirat(directory->get(), wire::kExitsName, 0700) != 0 && errno != EEXIST) {
    return Errno(Concat({"mkdir ", path, "/", wire::kExitsName}));
  }
  exits->reset(openat(directory->get(), wire::kExitsName, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!*exits) return Errno(Concat({"open ", path, "/", wire::kExitsName}));
  return Ok();
}

// Undoes what has been made so far unless it is disarmed.
class Undo {
 public:
  explicit Undo(const wire::LaunchSpec& spec) : spec_(spec) {}
  ~Undo() {
    if (!armed_) return;
    if (init_ > 0) {
      kill(init_, SIGKILL);
      waitpid(init_, nullptr, 0);
    }
    if (pins_) UndoPins(spec_);
    if (directory_) {
      rmdir(Concat({spec_.directory, "/", wire::kExitsName}).c_str());
      rmdir(spec_.directory.c_str());  // stays when something else is in it
    }
  }
  void Directory() { directory_ = true; }
  void Pins() { pins_ = true; }
  void Init(pid_t pid) { init_ = pid; }
  void Disarm() { armed_ = false; }

 private:
  const wire::LaunchSpec& spec_;
  bool armed_ = true, directory_ = false, pins_ = false;
  pid_t init_ = 0;
};

// Everything that runs in the pod inherits it.
Error LimitDescriptors(uint64_t most) {
  rlimit limit = {};
  if (most == 0) return Ok();
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return Errno("read the limit of descriptors");
  limit.rlim_cur = most < limit.rlim_max ? most : limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return Errno("set the limit of descriptors");
  return Ok();
}

}  // namespace

Error ReadSpec(wire::LaunchSpec* spec) {
  std::string bytes;
  char buffer[4096];
  for (ssize_t n; (n = read(STDIN_FILENO, buffer, sizeof(buffer))) > 0;) {
    bytes.append(buffer, static_cast<size_t>(n));
    if (bytes.size() > kMaxSpec) return Fail(wire::kInvalidArgument, "the launch specification is too long");
  }
  if (!wire::Decode(bytes, spec) || spec->version != wire::kVersion) {
    return Fail(wire::kInvalidArgument, "the launch specification is malformed or of another version");
  }
  return CheckSpec(*spec);
}

Error SetUpPod(wire::LaunchSpec spec, std::unique_ptr<Pod>* pod) {
  const wire::LaunchSpec names = spec;  // outlives the parts' copy
  Undo undo(names);
  Pod::Parts parts;
  // Before the pod's namespaces: this one is the daemon's.
  parts.mount_ns.reset(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
  if (!parts.mount_ns) return Errno("open /proc/self/ns/mnt");
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return Errno("become a subreaper");
  BERTH_TRY(LimitDescriptors(spec.descriptor_limit));
  BERTH_TRY(OpenDirectory(spec.directory, &parts.directory, &parts.exits));
  undo.Directory();
  undo.Pins();
  BERTH_TRY(PinUserNamespace(spec));
  BERTH_TRY(EnterNamespaces(spec));
  BERTH_TRY(MakePins(spec));
  if (spec.shared_pid) BERTH_TRY(StartPodInit(spec.user_ns_path, &parts.init_pid));
  undo.Init(parts.init_pid);
  parts.spec = std::move(spec);
  auto made = std::make_unique<Pod>(std::move(parts));
  BERTH_TRY(made->Listen());
  undo.Disarm();
  *pod = std::move(made);
  return Ok();
}

}  // namespace berth::supervisor
