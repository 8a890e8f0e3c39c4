#include "tools/integration/crash_test.h"

#include <signal.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/file.h"
#include "tools/image/oci_layout.h"
#include "tools/integration/cgroup_dirs.h"
#include "tools/integration/isolation.h"

namespace berth {

void CrashTest::SetUp() {
  ASSERT_NO_FATAL_FAILURE(MakePlace());
  points_ = std::make_unique<FailpointFile>(TheWorld().directory);
  ASSERT_OK(points_->Set(""));
  ImageSettings settings;
  settings.reference = kTransientImage;
  std::vector<std::string> layers;
  for (const char* name : {"first", "second"}) {
    const auto tar = MakeTar({{LayerEntry::Type::kFile, name, std::string(1000, 'x'), 0644}});
    ASSERT_OK(tar);
    layers.push_back(*tar);
  }
  ASSERT_OK(AddImage(place_->images() + "/transient", settings, layers));
  ASSERT_OK(StartSteered());
  ASSERT_NO_FATAL_FAILURE(PullTestImage());
  NoteWhatExists();
}

bool CrashTest::DaemonDied() { return daemon_.WaitForEnd(absl::Seconds(5)).ok(); }

bool CrashTest::StartsToServe() {
  client_.reset();
  auto daemon = DaemonProcess::Start(BuiltDaemon(TheWorld().runfiles), place_->config(), place_->daemon_log(),
                                     points_->Environment());
  EXPECT_OK(daemon);
  daemon_ = *std::move(daemon);
  client_ = std::make_unique<CriClient>(place_->socket());
  leaks_->SetDaemon(daemon_.pid());
  for (const absl::Time end = absl::Now() + absl::Minutes(1); absl::Now() < end;) {
    if (daemon_.WaitForEnd(absl::ZeroDuration()).ok()) return false;
    if (client_->WaitUntilServing(absl::Milliseconds(100)).ok()) return true;
  }
  ADD_FAILURE() << "the daemon neither serves nor ends";
  return false;
}

void CrashTest::Recover() {
  KillDaemon();
  ASSERT_OK(points_->Set(""));
  ASSERT_OK(StartSteered());
}

int CrashTest::PidOf(const std::string& container) {
  cri::ContainerStatusRequest request;
  request.set_container_id(container);
  request.set_verbose(true);
  const auto response = client().ContainerStatus(request);
  EXPECT_OK(response);
  if (!response.ok()) return 0;
  return nlohmann::json::parse(response->info().at("info"))["pid"].get<int>();
}

bool CrashTest::ImageIsThere() {
  cri::ImageStatusRequest request;
  request.mutable_image()->set_image(kTransientImage);
  const auto response = client().ImageStatus(request);
  EXPECT_OK(response);
  return response.ok() && response->has_image();
}

// "" when it has or is all that its state says, or is gone by now.
std::string CrashTest::FaultOfPod(const std::string& id) {
  const auto status = PodStatus(id);
  if (absl::IsNotFound(status.status())) return "";
  if (!status.ok()) return status.status().ToString();
  if (status->state() != cri::SANDBOX_READY) return "";
  for (const std::string& part : {"/run/netns/berth-" + id, absl::StrCat(place_->state(), "/pods/", id, "/hosts"),
                                  absl::StrCat(place_->state(), "/pods/", id, "/supervisor.sock")}) {
    if (access(part.c_str(), F_OK) != 0) return absl::StrCat("pod ", id, " is ready without ", part);
  }
  return status->network().ip().empty() ? absl::StrCat("pod ", id, " is ready without an address") : "";
}

std::string CrashTest::FaultOfContainer(const std::string& id) {
  cri::ContainerStatusRequest request;
  request.set_container_id(id);
  request.set_verbose(true);
  const auto response = client().ContainerStatus(request);
  if (absl::IsNotFound(response.status())) return "";
  if (!response.ok()) return response.status().ToString();
  const cri::ContainerStatus& status = response->status();
  const int pid = nlohmann::json::parse(response->info().at("info"))["pid"].get<int>();
  const std::string text = status.ShortDebugString();
  if (status.state() != cri::CONTAINER_EXITED) {
    return pid > 0 && kill(pid, 0) == 0 ? "" : "it has no process: " + text;
  }
  if (pid != 0 || status.finished_at() <= 0) return "it has not ended: " + text;
  return CgroupsWith(id).empty() ? "" : "it has a cgroup: " + text;
}

std::string CrashTest::Fault() {
  const auto pods = client().ListPodSandbox(cri::ListPodSandboxRequest());
  const auto containers = client().ListContainers(cri::ListContainersRequest());
  if (!pods.ok() || !containers.ok()) return "the lists do not come";
  for (const auto& pod : pods->items()) {
    if (std::string fault = FaultOfPod(pod.id()); !fault.empty()) return fault;
  }
  for (const auto& container : containers->containers()) {
    if (std::string fault = FaultOfContainer(container.id()); !fault.empty()) return fault;
  }
  return "";
}

// Soon: exits may be on their way from a supervisor, and what was being removed goes on behind the first answers.
void CrashTest::ExpectConsistent() {
  std::string fault = Fault();
  for (const absl::Time end = absl::Now() + absl::Seconds(30); !fault.empty() && absl::Now() < end; fault = Fault()) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_EQ(fault, "");
}

void CrashTest::RemoveAll() {
  const auto pods = client().ListPodSandbox(cri::ListPodSandboxRequest());
  ASSERT_OK(pods);
  for (const auto& pod : pods->items()) EXPECT_OK(RemovePod(pod.id()));
  cri::RemoveImageRequest remove;
  remove.mutable_image()->set_image(kTransientImage);
  EXPECT_OK(client().RemoveImage(remove));
  pod_.clear();
  container_.clear();
  ExpectNothingLeft();
}

void CrashTest::MakeOne(const std::string& script, bool start) {
  pod_config_ = PodConfig("one");
  const auto pod = RunPod(pod_config_);
  ASSERT_OK(pod);
  pod_ = *pod;
  const auto container = Create(pod_, pod_config_, ShellConfig("main", script));
  ASSERT_OK(container);
  container_ = *container;
  if (start) {
    ASSERT_OK(StartContainer(container_));
  }
}

std::string CrashTest::PodNamed(const std::string& name) {
  const auto pods = client().ListPodSandbox(cri::ListPodSandboxRequest());
  EXPECT_OK(pods);
  std::string found;
  if (!pods.ok()) return found;
  for (const auto& pod : pods->items()) {
    if (pod.metadata().name() != name) continue;
    EXPECT_EQ(found, "") << "two pods named " << name;
    found = pod.id();
  }
  return found;
}

std::string CrashTest::ContainerNamed(const std::string& name) {
  const auto containers = client().ListContainers(cri::ListContainersRequest());
  EXPECT_OK(containers);
  std::string found;
  if (!containers.ok()) return found;
  for (const auto& container : containers->containers()) {
    if (container.metadata().name() != name) continue;
    EXPECT_EQ(found, "") << "two containers named " << name;
    found = container.id();
  }
  return found;
}

}  // namespace berth
