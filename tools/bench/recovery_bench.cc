// Measures how long a daemon that was killed takes to serve again while containers run. See tools/bench/README.md.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/base/unique_fd.h"
#include "core/cri/client/cri_client.h"
#include "tools/bench/samples.h"
#include "tools/integration/daemon_process.h"
#include "tools/integration/isolation.h"
#include "tools/integration/place.h"

namespace berth {
namespace {

struct Plan {
  int rounds = 5;
  std::vector<int> containers = {0, 10, 100, 1000};
};

constexpr int kMakers = 4;

// A pod in the host's network: its making needs no CNI, its supervisor is like any other's.
absl::Status RunContainer(CriClient* client, const Place& place, int number) {
  const std::string name = absl::StrCat("bench", number);
  cri::RunPodSandboxRequest run;
  run.mutable_config()->mutable_metadata()->set_name(name);
  run.mutable_config()->mutable_metadata()->set_namespace_("bench");
  run.mutable_config()->mutable_metadata()->set_uid(name);
  run.mutable_config()->set_log_directory(place.logs() + "/" + name);
  run.mutable_config()->mutable_linux()->set_cgroup_parent("/" + TheWorld().tag);
  auto* namespaces = run.mutable_config()->mutable_linux()->mutable_security_context()->mutable_namespace_options();
  namespaces->set_network(cri::NODE);
  namespaces->set_pid(cri::CONTAINER);
  ASSIGN_OR_RETURN(const auto pod, client->RunPodSandbox(run));
  cri::CreateContainerRequest create;
  create.set_pod_sandbox_id(pod.pod_sandbox_id());
  *create.mutable_sandbox_config() = run.config();
  create.mutable_config()->mutable_metadata()->set_name("main");
  create.mutable_config()->mutable_image()->set_image(kTestImage);
  for (const char* word : {"/bin/sleep", "1000000"}) create.mutable_config()->add_command(word);
  create.mutable_config()->set_log_path("main.log");
  *create.mutable_config()->mutable_linux()->mutable_security_context()->mutable_namespace_options() = *namespaces;
  ASSIGN_OR_RETURN(const auto created, client->CreateContainer(create));
  cri::StartContainerRequest start;
  start.set_container_id(created.container_id());
  return client->StartContainer(start).status();
}

absl::Status RunContainers(const Place& place, int from, int until) {
  std::atomic<int> next{from};
  absl::Status first;
  std::mutex mutex;
  std::vector<std::thread> makers;
  for (int i = 0; i < kMakers; ++i) {
    makers.emplace_back([&] {
      CriClient client(place.socket());
      for (int number; (number = next++) < until;) {
        const absl::Status made = RunContainer(&client, place, number);
        std::lock_guard lock(mutex);
        first.Update(made);
        if (!first.ok()) return;
      }
    });
  }
  for (std::thread& maker : makers) maker.join();
  return first;
}

absl::Status RemovePods(const Place& place) {
  CriClient client(place.socket());
  ASSIGN_OR_RETURN(const auto pods, client.ListPodSandbox(cri::ListPodSandboxRequest()));
  for (const auto& pod : pods.items()) {
    cri::RemovePodSandboxRequest remove;
    remove.set_pod_sandbox_id(pod.id());
    RETURN_IF_ERROR(client.RemovePodSandbox(remove).status());
  }
  return absl::OkStatus();
}

// Until the daemon listens: it does so when everything is recovered.
absl::Status WaitForSocket(const std::string& path, int64_t deadline_ns) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  while (MonotonicNanos() < deadline_ns) {
    const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) return absl::OkStatus();
    usleep(500);
  }
  return absl::DeadlineExceededError("the daemon does not serve");
}

absl::Status CountRunning(const Place& place, int wanted) {
  CriClient client(place.socket());
  cri::ListContainersRequest request;
  request.mutable_filter()->mutable_state()->set_state(cri::CONTAINER_RUNNING);
  ASSIGN_OR_RETURN(const auto running, client.ListContainers(request));
  if (running.containers_size() == wanted) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(running.containers_size(), " containers run of ", wanted));
}

absl::Status Measure(const Plan& plan) {
  PlaceOptions options;
  options.log_level = "info";
  ASSIGN_OR_RETURN(const Place place,
                   Place::Make(TheWorld().directory + "/berth", BuiltPlugins(TheWorld().runfiles), options));
  const auto start = [&] {
    return DaemonProcess::Start(BuiltDaemon(TheWorld().runfiles), place.config(), place.daemon_log());
  };
  ASSIGN_OR_RETURN(DaemonProcess daemon, start());
  {
    CriClient client(place.socket());
    RETURN_IF_ERROR(client.WaitUntilServing(absl::Seconds(60)));
    cri::PullImageRequest pull;
    pull.mutable_image()->set_image(kTestImage);
    RETURN_IF_ERROR(client.PullImage(pull).status());
  }
  Results results("berth");
  int made = 0;
  for (const int wanted : plan.containers) {
    std::fprintf(stderr, "%d containers\n", wanted);
    RETURN_IF_ERROR(RunContainers(place, made, wanted));
    made = std::max(made, wanted);
    for (int round = 0; round < plan.rounds; ++round) {
      daemon.Kill();
      const int64_t begin = MonotonicNanos();
      ASSIGN_OR_RETURN(daemon, start());
      RETURN_IF_ERROR(WaitForSocket(place.socket(), begin + 60'000'000'000));
      results.Sampled(absl::StrCat("start to serving, ", made, " containers, ms"))
          .Add(static_cast<double>(MonotonicNanos() - begin) / 1e6);
      RETURN_IF_ERROR(CountRunning(place, made));
    }
  }
  std::printf("%s", Table({results}).c_str());
  return RemovePods(place);
}

}  // namespace
}  // namespace berth

int main(int argc, char** argv) {
  berth::Plan plan;
  CLI::App app("Measures the recovery of a daemon that was killed");
  app.add_option("--rounds", plan.rounds, "Kills for each number of containers")->check(CLI::Range(1, 1000));
  app.add_option("--containers", plan.containers, "How many run, ascending")
      ->delimiter(',')
      ->check(CLI::Range(0, 10000));
  CLI11_PARSE(app, argc, argv);
  return berth::RunIsolated(argv[0], [&plan] {
    const absl::Status status = berth::Measure(plan);
    if (status.ok()) return 0;
    std::fprintf(stderr, "recovery_bench: %s\n", status.ToString().c_str());
    return 1;
  });
}
