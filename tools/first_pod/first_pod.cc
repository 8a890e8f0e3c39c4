// What tools/quickstart shows: a daemon in a throw-away place, an image made on the spot, a pod with a container over
// CRI, its log, and everything removed.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/cri/client/cri_client.h"
#include "tools/integration/daemon_process.h"
#include "tools/integration/isolation.h"
#include "tools/integration/place.h"

namespace berth {
namespace {

void Say(const std::string& text) {
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
}

cri::PodSandboxConfig PodConfig(const Place& place) {
  cri::PodSandboxConfig config;
  config.mutable_metadata()->set_name("first");
  config.mutable_metadata()->set_namespace_("quickstart");
  config.mutable_metadata()->set_uid("1");
  config.set_hostname("first");
  config.set_log_directory(place.logs() + "/first");
  config.mutable_linux()->set_cgroup_parent("/" + TheWorld().tag);
  config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(cri::CONTAINER);
  return config;
}

absl::StatusOr<std::string> Pull(CriClient* client) {
  cri::PullImageRequest request;
  request.mutable_image()->set_image(kTestImage);
  ASSIGN_OR_RETURN(const auto response, client->PullImage(request));
  return response.image_ref();
}

absl::StatusOr<std::string> RunContainer(CriClient* client, const std::string& pod,
                                         const cri::PodSandboxConfig& pod_config) {
  cri::CreateContainerRequest request;
  request.set_pod_sandbox_id(pod);
  *request.mutable_sandbox_config() = pod_config;
  auto* config = request.mutable_config();
  config->mutable_metadata()->set_name("hello");
  config->mutable_image()->set_image(kTestImage);
  for (const char* word :
       {"/bin/sh", "-c", "echo hello from $(hostname), process $$; ip -4 addr show eth0; sleep 1000"}) {
    config->add_command(word);
  }
  config->set_log_path("hello.log");
  config->mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(cri::CONTAINER);
  ASSIGN_OR_RETURN(const auto created, client->CreateContainer(request));
  cri::StartContainerRequest start;
  start.set_container_id(created.container_id());
  RETURN_IF_ERROR(client->StartContainer(start).status());
  return created.container_id();
}

absl::Status Remove(CriClient* client, const std::string& pod) {
  cri::StopPodSandboxRequest stop;
  stop.set_pod_sandbox_id(pod);
  RETURN_IF_ERROR(client->StopPodSandbox(stop).status());
  cri::RemovePodSandboxRequest remove;
  remove.set_pod_sandbox_id(pod);
  return client->RemovePodSandbox(remove).status();
}

absl::Status UseIt(CriClient* client, const Place& place) {
  ASSIGN_OR_RETURN(const auto version, client->Version(cri::VersionRequest()));
  Say(absl::StrCat("serving CRI ", version.runtime_api_version(), ": ", version.runtime_name(), " ",
                   version.runtime_version()));
  ASSIGN_OR_RETURN(const std::string image, Pull(client));
  Say(absl::StrCat("pulled ", kTestImage, ": ", image));
  const cri::PodSandboxConfig pod_config = PodConfig(place);
  cri::RunPodSandboxRequest run;
  *run.mutable_config() = pod_config;
  ASSIGN_OR_RETURN(const auto pod, client->RunPodSandbox(run));
  cri::PodSandboxStatusRequest status_request;
  status_request.set_pod_sandbox_id(pod.pod_sandbox_id());
  ASSIGN_OR_RETURN(const auto status, client->PodSandboxStatus(status_request));
  Say(absl::StrCat("pod ", pod.pod_sandbox_id(), " is up, address ", status.status().network().ip()));
  ASSIGN_OR_RETURN(const std::string container, RunContainer(client, pod.pod_sandbox_id(), pod_config));
  Say(absl::StrCat("container ", container, " runs; its log:"));
  absl::SleepFor(absl::Milliseconds(500));
  ASSIGN_OR_RETURN(const std::string log, ReadFile(pod_config.log_directory() + "/hello.log"));
  std::printf("%s", log.c_str());
  cri::ExecSyncRequest exec;
  exec.set_container_id(container);
  exec.add_cmd("/bin/uname");
  exec.add_cmd("-sr");
  exec.set_timeout(10);
  ASSIGN_OR_RETURN(const auto executed, client->ExecSync(exec));
  Say(absl::StrCat("exec uname -sr: ", executed.stdout()));
  RETURN_IF_ERROR(Remove(client, pod.pod_sandbox_id()));
  Say("pod and container are removed");
  return absl::OkStatus();
}

absl::Status Show() {
  PlaceOptions options;
  options.log_level = "warn";
  ASSIGN_OR_RETURN(const Place place,
                   Place::Make(TheWorld().directory + "/quickstart", BuiltPlugins(TheWorld().runfiles), options));
  Say("starting berth serve in " + place.directory());
  ASSIGN_OR_RETURN(DaemonProcess daemon,
                   DaemonProcess::Start(BuiltDaemon(TheWorld().runfiles), place.config(), place.daemon_log()));
  CriClient client(place.socket());
  absl::Status status = client.WaitUntilServing(absl::Seconds(30));
  if (status.ok()) status = UseIt(&client, place);
  if (!status.ok()) {
    std::fprintf(stderr, "the daemon's log:\n%s", ReadFile(place.daemon_log()).value_or("").c_str());
    return status;
  }
  ASSIGN_OR_RETURN(const int ended, daemon.Terminate(absl::Seconds(30)));
  if (ended != 0) return absl::InternalError(absl::StrCat("the daemon ended with wait status ", ended));
  Say("the daemon has ended");
  return absl::OkStatus();
}

}  // namespace
}  // namespace berth

int main(int, char** argv) {
  return berth::RunIsolated(argv[0], [] {
    const absl::Status status = berth::Show();
    if (status.ok()) return 0;
    std::fprintf(stderr, "quickstart: %s\n", status.ToString().c_str());
    return 1;
  });
}
