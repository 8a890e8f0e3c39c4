#include "plugins/snapshot_overlay/overlay_snapshotter.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "plugins/snapshot_overlay/directory.h"
#include "plugins/snapshot_overlay/layout.h"
#include "plugins/snapshot_overlay/probe.h"
#include "plugins/snapshot_overlay/trash.h"
#include "plugins/snapshot_overlay/tree_usage.h"

namespace berth::snapshot_overlay {
namespace {

constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
constexpr char kProbePrefix[] = "probe-";  // no snapshot key; then the process id, a dash, and something unique
// Older ones are of a process that died, whoever has its number now: a probe takes milliseconds.
constexpr time_t kProbeSeconds = 600;

// When this boot began, in the time of the files' clock.
double BootTime() {
  timespec now{}, up{};
  clock_gettime(CLOCK_REALTIME, &now);
  clock_gettime(CLOCK_BOOTTIME, &up);
  return static_cast<double>(now.tv_sec - up.tv_sec) + static_cast<double>(now.tv_nsec - up.tv_nsec) / 1e9;
}

// Younger ones may be another daemon's. After a boot the first processes have the numbers that those before it had.
bool IsAbandonedProbe(const char* name, const struct stat& st) {
  const pid_t pid = static_cast<pid_t>(strtol(name + strlen(kProbePrefix), nullptr, 10));
  const double made = static_cast<double>(st.st_mtim.tv_sec) + static_cast<double>(st.st_mtim.tv_nsec) / 1e9;
  return st.st_mtime <= time(nullptr) - kProbeSeconds || made < BootTime() ||
         (pid > 0 && kill(pid, 0) != 0 && errno == ESRCH);
}

// As sdk::ErrnoStatus, but a read-only file system is no matter of permission.
sdk::Status Fault(int err, const std::string& what) {
  const sdk::Status status = sdk::ErrnoStatus(err, what);
  return err == EROFS ? sdk::Status(sdk::Code::kFailedPrecondition, status.message(), err) : status;
}

bool Exists(int dir_fd, const std::string& name) {
  struct stat st;
  return fstatat(dir_fd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

// mkdir -p whose directories survive a power cut.
sdk::Status MakePath(const std::string& path) {
  sdk::UniqueFd parent(open("/", kOpenDirectory));
  for (size_t begin = 1; begin < path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string name = path.substr(begin, end - begin), so_far = path.substr(0, end);
    begin = end + 1;
    if (name.empty()) continue;
    const bool made = mkdirat(parent.get(), name.c_str(), end == path.size() ? 0700 : 0755) == 0;
    if (!made && errno != EEXIST) return Fault(errno, "mkdir " + so_far);
    if (made) BERTH_RETURN_IF_ERROR(SyncDirectory(parent.get(), "a directory"));
    parent.reset(openat(parent.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!parent.valid()) return Fault(errno, "open " + so_far);
  }
  return {};
}

// mkdir that does not depend on the umask.
sdk::Status MakeDirectory(int dir_fd, const std::string& name, mode_t mode, sdk::UniqueFd* out) {
  if (mkdirat(dir_fd, name.c_str(), 0700) != 0) return Fault(errno, "mkdir " + name);
  sdk::UniqueFd fd(openat(dir_fd, name.c_str(), kOpenDirectory));
  if (!fd.valid() || fchmod(fd.get(), mode) != 0) return Fault(errno, "make directory " + name);
  if (out != nullptr) *out = std::move(fd);
  return {};
}

sdk::Result<sdk::UniqueFd> OpenOrMake(int root_fd, const char* name) {
  const bool made = mkdirat(root_fd, name, 0700) == 0;
  if (!made && errno != EEXIST) return Fault(errno, std::string("mkdir ") + name);
  if (made) BERTH_RETURN_IF_ERROR(SyncDirectory(root_fd, "the snapshot root"));
  sdk::UniqueFd fd(openat(root_fd, name, kOpenDirectory));
  if (!fd.valid()) return Fault(errno, std::string("open ") + name);
  return fd;
}

// Removes a half-made active snapshot unless it is kept.
class ActiveGuard {
 public:
  ActiveGuard(int active_fd, const std::string& key) : active_fd_(active_fd), key_(key) {}
  ~ActiveGuard() {
    if (kept_) return;
    for (const char* name : {"/fs", "/work", ""}) unlinkat(active_fd_, (key_ + name).c_str(), AT_REMOVEDIR);
  }
  void Keep() { kept_ = true; }

 private:
  const int active_fd_;
  const std::string& key_;
  bool kept_ = false;
};

}  // namespace

sdk::Result<std::unique_ptr<OverlaySnapshotter>> OverlaySnapshotter::Open(const std::string& root) {
  std::string clean = root;
  while (clean.size() > 1 && clean.back() == '/') clean.pop_back();
  if (clean.empty() || clean[0] != '/' || clean == "/") {
    return sdk::InvalidArgument("snapshot root \"" + root + "\": want an absolute path");
  }
  std::unique_ptr<OverlaySnapshotter> out(new OverlaySnapshotter(std::move(clean)));
  BERTH_RETURN_IF_ERROR(out->OpenDirectories());
  BERTH_RETURN_IF_ERROR(out->Probe());
  return out;
}

sdk::Status OverlaySnapshotter::OpenDirectories() {
  BERTH_RETURN_IF_ERROR(MakePath(root_));
  root_fd_.reset(open(root_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root_fd_.valid()) return Fault(errno, "open " + root_);
  const std::pair<const char*, sdk::UniqueFd*> places[] = {
      {"active", &active_}, {"layers", &layers_}, {"trash", &trash_}};
  for (const auto& [name, fd] : places) {
    auto opened = OpenOrMake(root_fd_.get(), name);
    if (!opened.ok()) return sdk::Annotate(opened.status(), "in " + root_);
    *fd = *std::move(opened);
  }
  return {};
}

sdk::Status OverlaySnapshotter::Probe() {
  std::string directory = root_ + "/" + kProbePrefix + std::to_string(getpid()) + "-XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) return Fault(errno, "mkdtemp " + directory);
  const sdk::Status status = ProbeOverlay(directory);
  BERTH_RETURN_IF_ERROR(MoveToTrash(root_fd_.get(), directory.substr(root_.size() + 1), trash_.get()));
  return sdk::Annotate(status, "snapshot_overlay cannot work in " + root_);
}

sdk::Status OverlaySnapshotter::CheckParents(const std::vector<std::string>& parents) const {
  for (const std::string& parent : parents) {
    BERTH_RETURN_IF_ERROR(CheckKey(parent));
    if (!Exists(layers_.get(), parent + "/fs")) return sdk::NotFound("parent layer " + parent + " is not there");
  }
  return {};
}

sdk::Status OverlaySnapshotter::CheckRequest(const sdk::SnapshotRequest& request) const {
  BERTH_RETURN_IF_ERROR(CheckKey(request.key));
  if (!request.uid_map.empty() || !request.gid_map.empty()) {
    if (!KernelMapsLayers()) {
      return sdk::FailedPrecondition("snapshot " + request.key +
                                     ": id-mapped overlays need Linux 5.19 or newer; this is an older one");
    }
    if (request.kind == sdk::SnapshotKind::kLayer) {
      return sdk::InvalidArgument("snapshot " + request.key + ": layers are kept without id maps");
    }
  }
  if (request.quota_bytes != 0) {
    return sdk::FailedPrecondition("snapshot " + request.key + ": snapshot_overlay has no quotas");
  }
  switch (request.kind) {
    case sdk::SnapshotKind::kLayer:
      // They matter at Commit only (kParentAtCommit); a wrong one is told early all the same.
    case sdk::SnapshotKind::kContainer:
    case sdk::SnapshotKind::kView:
      return CheckParents(request.parents);
  }
  return sdk::InvalidArgument("snapshot " + request.key + ": unknown kind " +
                              std::to_string(static_cast<int>(request.kind)));
}

// The root directory of a rootfs is the upper one, so it has to look like the image's.
sdk::Status OverlaySnapshotter::CopyRootAttributes(const std::string& parent, int fs_fd) const {
  struct stat st;
  if (fstatat(layers_.get(), (parent + "/fs").c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
    return Fault(errno, "stat layer " + parent);
  }
  if (fchown(fs_fd, st.st_uid, st.st_gid) != 0 || fchmod(fs_fd, st.st_mode & 07777) != 0) {
    return Fault(errno, "give a container's root the owner and mode of layer " + parent);
  }
  return {};
}

sdk::Status OverlaySnapshotter::MakeActive(const sdk::SnapshotRequest& request, sdk::PreparedSnapshot* out) {
  if (Exists(layers_.get(), request.key)) return sdk::AlreadyExists("snapshot " + request.key + " is a layer");
  if (mkdirat(active_.get(), request.key.c_str(), 0700) != 0) return Fault(errno, "mkdir active/" + request.key);
  ActiveGuard guard(active_.get(), request.key);
  sdk::UniqueFd fs;
  BERTH_RETURN_IF_ERROR(MakeDirectory(active_.get(), request.key + "/fs", 0755, &fs));
  if (request.kind == sdk::SnapshotKind::kContainer) {
    if (!request.parents.empty()) BERTH_RETURN_IF_ERROR(CopyRootAttributes(request.parents[0], fs.get()));
    // Last: a key with a work directory is a container's and complete.
    BERTH_RETURN_IF_ERROR(MakeDirectory(active_.get(), request.key + "/work", 0700, nullptr));
  }
  if (request.kind == sdk::SnapshotKind::kLayer) out->directory = std::move(fs);
  guard.Keep();
  return {};
}

sdk::Result<sdk::PreparedSnapshot> OverlaySnapshotter::Prepare(const sdk::SnapshotRequest& request) {
  BERTH_RETURN_IF_ERROR(CheckRequest(request));
  sdk::PreparedSnapshot out;
  if (request.kind != sdk::SnapshotKind::kLayer) {
    BERTH_ASSIGN_OR_RETURN(out.mounts, RootfsMounts(root_, request));
  }
  BERTH_RETURN_IF_ERROR(sdk::Annotate(MakeActive(request, &out), "prepare snapshot " + request.key));
  return out;
}

sdk::Result<std::vector<sdk::Mount>> OverlaySnapshotter::Mounts(const sdk::SnapshotRequest& request) const {
  BERTH_RETURN_IF_ERROR(CheckRequest(request));
  if (request.kind == sdk::SnapshotKind::kLayer) {
    return sdk::InvalidArgument("mounts of snapshot " + request.key + ": a layer has none");
  }
  const char* needed = request.kind == sdk::SnapshotKind::kContainer ? "/work" : "/fs";
  if (!Exists(active_.get(), request.key + needed)) {
    return sdk::NotFound("mounts of snapshot " + request.key + ": there is no such container or view");
  }
  return RootfsMounts(root_, request);
}

sdk::Status OverlaySnapshotter::Commit(const std::string& key, const std::vector<std::string>& parents) {
  BERTH_RETURN_IF_ERROR(CheckKey(key));
  BERTH_RETURN_IF_ERROR(sdk::Annotate(CheckParents(parents), "commit snapshot " + key));
  if (!Exists(layers_.get(), key)) {
    sdk::UniqueFd fs(openat(active_.get(), (key + "/fs").c_str(), kOpenDirectory));
    if (!fs.valid()) return Fault(errno, "commit snapshot " + key + ": open its tree");
    if (Exists(active_.get(), key + "/work")) {
      return sdk::FailedPrecondition("commit snapshot " + key + ": it belongs to a container");
    }
    // Its directories' own entries: the host has synced what it wrote into them.
    sdk::UniqueFd whole(openat(active_.get(), key.c_str(), kOpenDirectory));
    if (!whole.valid()) return Fault(errno, "commit snapshot " + key + ": open its directory");
    BERTH_RETURN_IF_ERROR(SyncDirectory(fs.get(), "a layer's root directory"));
    BERTH_RETURN_IF_ERROR(SyncDirectory(whole.get(), "a layer's directory"));
    if (renameat(active_.get(), key.c_str(), layers_.get(), key.c_str()) != 0) {
      return Fault(errno, "commit snapshot " + key);
    }
  }
  // Also when it was committed before: the answer to that may never have been given.
  BERTH_RETURN_IF_ERROR(SyncDirectory(layers_.get(), "the directory of layers"));
  return SyncDirectory(active_.get(), "the directory of active snapshots");
}

sdk::Status OverlaySnapshotter::Remove(const std::string& key) {
  BERTH_RETURN_IF_ERROR(CheckKey(key));
  for (int from : {active_.get(), layers_.get()}) {
    const sdk::Status status = MoveToTrash(from, key, trash_.get());
    if (status.sys_errno() != ENOENT) return sdk::Annotate(status, "remove snapshot " + key);
  }
  return sdk::NotFound("remove snapshot " + key + ": there is none");
}

sdk::Result<sdk::SnapshotInfo> OverlaySnapshotter::Stat(const std::string& key) const {
  BERTH_RETURN_IF_ERROR(CheckKey(key));
  // Active first: a commit between the two questions is then still seen.
  if (Exists(active_.get(), key)) return sdk::SnapshotInfo{key, sdk::SnapshotState::kActive};
  if (Exists(layers_.get(), key)) return sdk::SnapshotInfo{key, sdk::SnapshotState::kCommitted};
  return sdk::NotFound("stat snapshot " + key + ": there is none");
}

sdk::Result<sdk::SnapshotUsage> OverlaySnapshotter::Usage(const std::string& key,
                                                          const std::function<bool()>& give_up) const {
  BERTH_RETURN_IF_ERROR(CheckKey(key));
  for (int in : {active_.get(), layers_.get()}) {
    const sdk::UniqueFd fs(openat(in, (key + "/fs").c_str(), kOpenDirectory));
    if (!fs.valid()) {
      if (errno == ENOENT) continue;
      return Fault(errno, "usage of snapshot " + key);
    }
    const sdk::Result<TreeUsage> usage = MeasureTree(fs.get(), give_up);
    if (!usage.ok()) return sdk::Annotate(usage.status(), "usage of snapshot " + key);
    return sdk::SnapshotUsage{(*usage).bytes, (*usage).inodes, (*usage).fingerprint};
  }
  return sdk::NotFound("usage of snapshot " + key + ": there is none");
}

sdk::Status OverlaySnapshotter::Walk(const std::function<void(const sdk::SnapshotInfo&)>& visit) const {
  const std::pair<int, sdk::SnapshotState> places[] = {{active_.get(), sdk::SnapshotState::kActive},
                                                       {layers_.get(), sdk::SnapshotState::kCommitted}};
  for (const auto& [fd, state] : places) {
    BERTH_RETURN_IF_ERROR(ForEachEntry(fd, [&visit, state = state](const char* name) -> sdk::Status {
      if (CheckKey(name).ok()) visit(sdk::SnapshotInfo{name, state});
      return {};
    }));
  }
  return {};
}

sdk::Status OverlaySnapshotter::DiscardOldProbes() {
  return ForEachEntry(root_fd_.get(), [this](const char* name) -> sdk::Status {
    struct stat st;
    if (strncmp(name, kProbePrefix, strlen(kProbePrefix)) != 0) return {};
    if (fstatat(root_fd_.get(), name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !IsAbandonedProbe(name, st)) return {};
    const sdk::Status status = MoveToTrash(root_fd_.get(), name, trash_.get());
    return status.sys_errno() == ENOENT ? sdk::Status() : status;
  });
}

sdk::Status OverlaySnapshotter::Cleanup(const std::function<bool()>& give_up) {
  BERTH_RETURN_IF_ERROR(DiscardOldProbes());
  return sdk::Annotate(EmptyTrash(trash_.get(), give_up), "free removed snapshots in " + root_);
}

}  // namespace berth::snapshot_overlay
