#include "core/supervisor/supervisor_fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/file.h"
#include "core/supervisor/embedded.h"

namespace berth {
namespace {

constexpr std::chrono::seconds kPatience(10);

std::string Key(const std::string& container_id, const std::string& exec_id) {
  return absl::StrCat(container_id, ".", exec_id);
}

}  // namespace

void Recorder::OnExit(const std::string&, const SupervisedExit& exit) {
  std::lock_guard<std::mutex> lock(mutex_);
  exits_[Key(exit.container_id, exit.exec_id)] = exit;
  ++told_;
  changed_.notify_all();
}

void Recorder::OnGone(const std::string&) {
  std::lock_guard<std::mutex> lock(mutex_);
  gone_ = true;
  changed_.notify_all();
}

void Recorder::OnLogDrops(const std::string&, const std::string& container_id, uint64_t lines) {
  std::lock_guard<std::mutex> lock(mutex_);
  drops_[container_id] = lines;
  changed_.notify_all();
}

std::optional<SupervisedExit> Recorder::WaitForExit(const std::string& container_id, const std::string& exec_id) {
  std::unique_lock<std::mutex> lock(mutex_);
  std::string key = Key(container_id, exec_id);
  if (!changed_.wait_for(lock, kPatience, [&] { return exits_.count(key) != 0; })) return std::nullopt;
  return exits_[key];
}

bool Recorder::WaitForGone() {
  std::unique_lock<std::mutex> lock(mutex_);
  return changed_.wait_for(lock, kPatience, [&] { return gone_; });
}

uint64_t Recorder::WaitForDrops(const std::string& container_id) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_for(lock, kPatience, [&] { return drops_.count(container_id) != 0; });
  return drops_[container_id];
}

size_t Recorder::exits_told() {
  std::lock_guard<std::mutex> lock(mutex_);
  return told_;
}

Call Within(int seconds) {
  Call call;
  call.deadline_ns = MonotonicNanos() + seconds * 1'000'000'000LL;
  return call;
}

void SupervisorTest::SetUpTestSuite() {
  static bool once = [] {
    // Nothing a test mounts is seen outside; crun refuses the hybrid cgroup layout.
    if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_PRIVATE | MS_REC, nullptr) != 0) return false;
    umount2("/sys/fs/cgroup/unified", MNT_DETACH);
    return mount("none", "/run", "tmpfs", 0, nullptr) == 0;  // /run/netns of our own
  }();
  ASSERT_TRUE(once) << "a private mount namespace (root) is needed";
}

void SupervisorTest::SetUp() {
  char name[] = "/tmp/berth-sv-XXXXXX";
  ASSERT_NE(mkdtemp(name), nullptr);
  dir_ = name;
  absl::StatusOr<std::string> program = InstallSupervisor(Path("libexec"));
  ASSERT_TRUE(program.ok()) << program.status();
  // Another build of the program, such as one under a sanitizer.
  const char* other = getenv("BERTH_TEST_SUPERVISOR");
  starter_ = std::make_unique<SupervisorStarter>(other == nullptr ? *program : other);
  auto loop = SupervisorLoop::Start();
  ASSERT_TRUE(loop.ok()) << loop.status();
  loop_ = *std::move(loop);
}

void SupervisorTest::TearDown() {
  if (supervisor_ != nullptr) {
    pid_t pid = supervisor_->pid();
    auto list = supervisor_->List(Within(5));
    if (list.ok()) {
      for (const SupervisedProcess& p : *list) {
        supervisor_->Signal(Within(5), p.container_id, p.exec_id, SIGKILL).IgnoreError();
      }
      for (int i = 0; i < 300 && !supervisor_->Shutdown(Within(5)).ok(); ++i) usleep(10000);
    }
    supervisor_.reset();
    for (int i = 0; i < 300 && Alive(pid); ++i) usleep(10000);
    EXPECT_FALSE(Alive(pid));
  }
  EXPECT_TRUE(ReleasePins(spec_).ok());
  loop_.reset();
  starter_.reset();
  EXPECT_TRUE(RemoveTree(dir_).ok());
}

PodSpec SupervisorTest::Spec() const {
  PodSpec spec;
  spec.id = "pod1";
  spec.directory = Path("pods/pod1");
  spec.new_network = spec.new_ipc = spec.new_uts = true;
  spec.hostname = "harbour";
  return spec;
}

void SupervisorTest::Launch(const PodSpec& spec) {
  spec_ = spec;
  auto supervisor = Supervisor::Launch(loop_.get(), starter_.get(), spec, &events_, Within(10));
  ASSERT_TRUE(supervisor.ok()) << supervisor.status();
  supervisor_ = *std::move(supervisor);
}

void SupervisorTest::Reconnect() {
  supervisor_.reset();
  auto supervisor = Supervisor::Connect(loop_.get(), spec_.directory, &events_, Within(10));
  ASSERT_TRUE(supervisor.ok()) << supervisor.status();
  supervisor_ = *std::move(supervisor);
}

ContainerPrepare SupervisorTest::Prepare(const std::string& id) const {
  ContainerPrepare prepare;
  prepare.id = id;
  prepare.rootfs = Path(absl::StrCat("bundle-", id, "/rootfs"));
  EXPECT_TRUE(MakeDirs(prepare.rootfs).ok());
  prepare.mounts = {{"", "/", "", {"bind", "ro"}}};
  prepare.stdio.log_path = Path(absl::StrCat(id, ".log"));
  return prepare;
}

SupervisedCommand SupervisorTest::CreateCommand(const std::string& id, const std::string& script) const {
  SupervisedCommand command;
  command.purpose = SupervisedCommand::Purpose::kCreate;
  command.pod_id = spec_.id;
  command.container_id = id;
  command.pid_file = Path(absl::StrCat("bundle-", id, "/pid"));
  std::string go = Path(absl::StrCat("bundle-", id, "/go"));
  command.argv =
      Executor(command.pid_file, "-", absl::StrCat("while [ ! -e ", go, " ]; do sleep 0.01; done; ", script));
  command.env = {"PATH=/usr/bin:/bin"};
  return command;
}

pid_t SupervisorTest::Create(const std::string& id, const std::string& script) {
  auto prepared = supervisor_->PrepareContainer(Within(10), Prepare(id));
  EXPECT_TRUE(prepared.ok()) << prepared.status();
  if (!prepared.ok()) return 0;
  auto result = supervisor_->Run(Within(10), CreateCommand(id, script));
  EXPECT_TRUE(result.ok()) << result.status();
  if (!result.ok()) return 0;
  EXPECT_EQ(result->wait_status, 0) << result->err;
  EXPECT_GT(result->pid, 0);
  return result->pid;
}

void SupervisorTest::Start(const std::string& id) {
  ASSERT_TRUE(WriteFileAtomic(Path(absl::StrCat("bundle-", id, "/go")), "", 0600, Durability::kVolatile).ok());
}

SupervisedCommand SupervisorTest::ExecCommand(const std::string& id, const std::string& exec,
                                              const std::string& script) const {
  SupervisedCommand command;
  command.purpose = SupervisedCommand::Purpose::kExec;
  command.pod_id = spec_.id;
  command.container_id = id;
  command.exec_id = exec;
  command.pid_file = Path(absl::StrCat("bundle-", id, "/exec-", exec, ".pid"));
  command.argv = Executor(command.pid_file, "-", script);
  command.env = {"PATH=/usr/bin:/bin"};
  return command;
}

size_t SupervisorTest::Descriptors() {
  EXPECT_TRUE(supervisor_->List(Within(5)).ok());
  return CountDescriptors(supervisor_->pid());
}

std::string SupervisorTest::LogOf(const std::string& id) const { return ReadText(Path(absl::StrCat(id, ".log"))); }

std::vector<std::string> Executor(const std::string& pid_file, const std::string& console, const std::string& script) {
  const char* runfiles = getenv("TEST_SRCDIR");
  return {absl::StrCat(runfiles == nullptr ? "." : runfiles, "/berth/core/supervisor/fake_executor"), pid_file, console,
          script};
}

std::string ReadText(const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(path);
  return text.ok() ? *text : std::string(text.status().message());
}

size_t CountMounts() {
  return absl::StrSplit(ReadText("/proc/self/mountinfo"), '\n').operator std::vector<std::string>().size();
}

size_t CountDescriptors(pid_t pid) {
  auto names = ListDir(absl::StrCat("/proc/", pid, "/fd"));
  return names.ok() ? names->size() : 0;
}

std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::vector<pid_t> children;
  const std::string tasks = absl::StrCat("/proc/", pid, "/task/");
  for (const std::string& task : ListDir(tasks).value_or(std::vector<std::string>())) {
    std::vector<std::string> fields = absl::StrSplit(ReadText(tasks + task + "/children"), ' ', absl::SkipEmpty());
    for (const std::string& field : fields) {
      int child = 0;
      if (absl::SimpleAtoi(field, &child)) children.push_back(child);
    }
  }
  return children;
}

bool Alive(pid_t pid) {
  // A zombie whose parent (a test container's init) never reaps counts as gone.
  std::string stat = ReadText(absl::StrCat("/proc/", pid, "/stat"));
  size_t close = stat.rfind(')');
  return close != std::string::npos && stat.size() > close + 2 && stat[close + 2] != 'Z';
}

}  // namespace berth
