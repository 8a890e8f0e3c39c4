#include "tools/integration/daemon_test.h"

#include <sys/wait.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/subprocess.h"
#include "tools/integration/isolation.h"

namespace berth {
namespace {

// Who is connected to whom: a socket's name among descriptors is only a number.
std::string UnixSockets() {
  Command command;
  command.argv = {"/bin/ss", "--unix", "--all", "--processes", "--no-header"};
  command.deadline_ns = MonotonicNanos() + 10'000'000'000;
  const auto result = RunCommand(command);
  return result.ok() ? result->out : result.status().ToString();
}

}  // namespace

void DaemonTest::SetUp() {
  ASSERT_NO_FATAL_FAILURE(MakePlace());
  ASSERT_OK(StartDaemon());
  ASSERT_NO_FATAL_FAILURE(PullTestImage());
  NoteWhatExists();
}

void DaemonTest::TearDown() {
  if (daemon_.pid() != 0 && leaks_.has_value()) ExpectNothingLeft();
  client_.reset();
  if (daemon_.pid() != 0) {
    const auto status = daemon_.Terminate(absl::Seconds(30));
    EXPECT_OK(status);
    if (status.ok()) {
      EXPECT_TRUE(WIFEXITED(*status) && WEXITSTATUS(*status) == 0) << "wait status " << *status;
    }
  }
  if (HasFailure() && place_.has_value()) std::fprintf(stderr, "--- the daemon's log\n%s---\n", DaemonLog().c_str());
  if (place_.has_value()) {
    EXPECT_OK(RemoveTree(place_->directory()));
  }
}

void DaemonTest::MakePlace() {
  static int count = 0;
  if (TheWorld().systemd) options_.cgroup_driver = "systemd";
  auto place =
      Place::Make(absl::StrCat(TheWorld().directory, "/", ++count), BuiltPlugins(TheWorld().runfiles), options_);
  ASSERT_OK(place);
  place_ = *std::move(place);
}

absl::Status DaemonTest::StartDaemon(const std::vector<std::string>& environment) {
  // A client that goes while it connects keeps that connection for as long as it would have waited.
  client_.reset();
  auto daemon =
      DaemonProcess::Start(BuiltDaemon(TheWorld().runfiles), place_->config(), place_->daemon_log(), environment);
  if (!daemon.ok()) return daemon.status();
  daemon_ = *std::move(daemon);
  client_ = std::make_unique<CriClient>(place_->socket());
  if (leaks_.has_value()) leaks_->SetDaemon(daemon_.pid());
  return client_->WaitUntilServing(absl::Seconds(60));
}

bool DaemonTest::OnTheLabsMachine() {
  const auto mounts = ReadFile("/proc/self/mounts");
  return mounts.ok() && absl::StrContains(*mounts, " /var/lib/uml ext4 ");
}

void DaemonTest::PullTestImage() {
  const auto pulled = Pull(kTestImage);
  ASSERT_OK(pulled);
}

void DaemonTest::NoteWhatExists() {
  // Connections come and go: they are no part of the comparison.
  client_.reset();
  absl::SleepFor(absl::Milliseconds(100));
  LeakCheck::Scope scope;
  scope.trees = {place_->directory(), "/run", "/var/lib/cni"};
  scope.cgroup_mark = TheWorld().tag;
  scope.daemon = daemon_.pid();
  scope.not_leaks = NotLeaks(*place_, TheWorld().tag);
  leaks_.emplace(std::move(scope));
  before_ = leaks_->TakeWithSpare(options_.spare_supervisor ? 2 : 0);
  client_ = std::make_unique<CriClient>(place_->socket());
}

void DaemonTest::ExpectNothingLeft() {
  const auto pods = client().ListPodSandbox(cri::ListPodSandboxRequest());
  ASSERT_OK(pods);
  EXPECT_EQ(pods->items_size(), 0) << pods->DebugString();
  const auto containers = client().ListContainers(cri::ListContainersRequest());
  ASSERT_OK(containers);
  EXPECT_EQ(containers->containers_size(), 0) << containers->DebugString();
  client_.reset();
  const std::vector<std::string> leaks = leaks_->Leaks(before_, std::chrono::seconds(10));
  EXPECT_THAT(leaks, testing::IsEmpty()) << UnixSockets();
  client_ = std::make_unique<CriClient>(place_->socket());
}

std::string DaemonTest::DaemonLog() const {
  std::string log = ReadFile(place_->daemon_log(), 64 << 20).value_or("");
  constexpr size_t kTail = 16 << 10;
  return log.size() > kTail ? log.substr(log.size() - kTail) : log;
}

cri::PodSandboxConfig DaemonTest::PodConfig(const std::string& name) const {
  cri::PodSandboxConfig config;
  config.mutable_metadata()->set_name(name);
  config.mutable_metadata()->set_namespace_("tests");
  config.mutable_metadata()->set_uid("uid-" + name);
  config.set_hostname(name);
  config.set_log_directory(place_->logs() + "/" + name);
  config.mutable_linux()->set_cgroup_parent("/" + TheWorld().tag + "/pods");
  // As the kubelet: a PID namespace for each container.
  config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(cri::CONTAINER);
  (*config.mutable_labels())["app"] = name;
  (*config.mutable_annotations())["note"] = "of " + name;
  return config;
}

cri::ContainerConfig DaemonTest::ContainerConfig(const std::string& name, const std::vector<std::string>& command) {
  cri::ContainerConfig config;
  config.mutable_metadata()->set_name(name);
  config.mutable_image()->set_image(kTestImage);
  for (const std::string& word : command) config.add_command(word);
  config.set_log_path(name + "/0.log");
  (*config.mutable_labels())["part"] = name;
  config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(cri::CONTAINER);
  return config;
}

absl::StatusOr<std::string> DaemonTest::RunPod(const cri::PodSandboxConfig& config, const std::string& handler) {
  cri::RunPodSandboxRequest request;
  *request.mutable_config() = config;
  request.set_runtime_handler(handler);
  const auto response = client().RunPodSandbox(request);
  if (!response.ok()) return response.status();
  return response->pod_sandbox_id();
}

absl::StatusOr<std::string> DaemonTest::Create(const std::string& pod, const cri::PodSandboxConfig& pod_config,
                                               const cri::ContainerConfig& config) {
  cri::CreateContainerRequest request;
  request.set_pod_sandbox_id(pod);
  *request.mutable_sandbox_config() = pod_config;
  *request.mutable_config() = config;
  const auto response = client().CreateContainer(request);
  if (!response.ok()) return response.status();
  return response->container_id();
}

absl::Status DaemonTest::StartContainer(const std::string& id) {
  cri::StartContainerRequest request;
  request.set_container_id(id);
  return client().StartContainer(request).status();
}

absl::Status DaemonTest::StopContainer(const std::string& id, int64_t grace_seconds) {
  cri::StopContainerRequest request;
  request.set_container_id(id);
  request.set_timeout(grace_seconds);
  return client().StopContainer(request).status();
}

absl::Status DaemonTest::RemoveContainer(const std::string& id) {
  cri::RemoveContainerRequest request;
  request.set_container_id(id);
  return client().RemoveContainer(request).status();
}

absl::Status DaemonTest::StopPod(const std::string& id) {
  cri::StopPodSandboxRequest request;
  request.set_pod_sandbox_id(id);
  return client().StopPodSandbox(request).status();
}

absl::Status DaemonTest::RemovePod(const std::string& id) {
  cri::RemovePodSandboxRequest request;
  request.set_pod_sandbox_id(id);
  return client().RemovePodSandbox(request).status();
}

absl::StatusOr<cri::ContainerStatus> DaemonTest::Status(const std::string& id) {
  cri::ContainerStatusRequest request;
  request.set_container_id(id);
  const auto response = client().ContainerStatus(request);
  if (!response.ok()) return response.status();
  return response->status();
}

absl::StatusOr<cri::PodSandboxStatus> DaemonTest::PodStatus(const std::string& id) {
  cri::PodSandboxStatusRequest request;
  request.set_pod_sandbox_id(id);
  const auto response = client().PodSandboxStatus(request);
  if (!response.ok()) return response.status();
  return response->status();
}

absl::StatusOr<cri::ExecSyncResponse> DaemonTest::Exec(const std::string& id, const std::vector<std::string>& command,
                                                       int64_t timeout_seconds) {
  cri::ExecSyncRequest request;
  request.set_container_id(id);
  for (const std::string& word : command) request.add_cmd(word);
  request.set_timeout(timeout_seconds);
  return client().ExecSync(request);
}

absl::StatusOr<std::string> DaemonTest::Pull(const std::string& reference) {
  cri::PullImageRequest request;
  request.mutable_image()->set_image(reference);
  const auto response = client().PullImage(request);
  if (!response.ok()) return response.status();
  return response->image_ref();
}

absl::StatusOr<cri::ContainerStatus> DaemonTest::WaitFor(const std::string& id, cri::ContainerState state) {
  const absl::Time end = absl::Now() + absl::Seconds(30);
  for (;;) {
    auto status = Status(id);
    if (!status.ok() || status->state() == state) return status;
    if (absl::Now() >= end) return absl::DeadlineExceededError("still " + status->ShortDebugString());
    absl::SleepFor(absl::Milliseconds(20));
  }
}

void DaemonTest::RunOne(const std::string& script, const std::string& handler) {
  pod_config_ = PodConfig("one");
  const auto pod = RunPod(pod_config_, handler);
  ASSERT_OK(pod);
  pod_ = *pod;
  const auto container = Create(pod_, pod_config_, ShellConfig("main", script));
  ASSERT_OK(container);
  container_ = *container;
  ASSERT_OK(StartContainer(container_));
}

std::string DaemonTest::OutputOf(const std::string& script) {
  RunOne(script);
  if (HasFatalFailure()) return "";
  EXPECT_OK(WaitFor(container_, cri::CONTAINER_EXITED));
  std::string output;
  for (const LogLine& line : ReadLog(pod_config_, "main")) {
    if (line.stream == "stdout") absl::StrAppend(&output, line.text, line.tag == "F" ? "\n" : "");
  }
  EXPECT_OK(RemovePod(pod_));
  return output;
}

std::vector<LogLine> DaemonTest::ReadLog(const cri::PodSandboxConfig& pod, const std::string& container) const {
  const auto text = ReadFile(pod.log_directory() + "/" + container + "/0.log", 64 << 20);
  EXPECT_OK(text);
  std::vector<LogLine> lines;
  for (absl::string_view line : absl::StrSplit(text.value_or(""), '\n', absl::SkipEmpty())) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(' ', 3));
    EXPECT_EQ(parts.size(), 4u) << line;
    if (parts.size() == 4) lines.push_back({parts[0], parts[1], parts[2], parts[3]});
  }
  return lines;
}

}  // namespace berth
