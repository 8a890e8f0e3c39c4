// Measures Berth, and containerd beside it when it is installed: the same executor, the same CNI configuration, the
// same machine, one run. See tools/bench/README.md for what each row means.
#include <sys/mount.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/cri/client/cri_client.h"
#include "tools/bench/fresh_disk.h"
#include "tools/bench/memory.h"
#include "tools/bench/runtime.h"
#include "tools/bench/samples.h"
#include "tools/integration/isolation.h"
#include "tools/integration/place.h"

namespace berth {
namespace {

struct Plan {
  int rounds = 30;
  int pods = 10;       // for memory
  int records = 1000;  // for ListContainers
  int settle_seconds = 60;
  bool containerd = true;
};

constexpr double kMs = 1e6, kMiB = 1 << 20;
constexpr int kParallel = 4;
constexpr uint64_t kDiskMegabytes = 2048;

// One call as it was timed.
struct Span {
  std::string row, id;
  int64_t start = 0, end = 0;
};

// A pod with one container from Run to Remove, each call timed.
class Life {
 public:
  Life(CriClient* client, const std::string& logs, int number) : client_(client) {
    pod_config_.mutable_metadata()->set_name(absl::StrCat("bench-", number));
    pod_config_.mutable_metadata()->set_namespace_("bench");
    pod_config_.mutable_metadata()->set_uid(absl::StrCat("uid-", number));
    pod_config_.set_hostname("bench");
    pod_config_.set_log_directory(absl::StrCat(logs, "/", number));
    auto* linux_config = pod_config_.mutable_linux();
    linux_config->set_cgroup_parent("/" + TheWorld().tag);
    linux_config->mutable_security_context()->mutable_namespace_options()->set_pid(cri::CONTAINER);
  }

  absl::Status Up() {
    RETURN_IF_ERROR(RunPod());
    RETURN_IF_ERROR(Create("main"));
    cri::StartContainerRequest start;
    start.set_container_id(container_);
    return Timed("StartContainer", &container_, [&] { return client_->StartContainer(start).status(); });
  }

  absl::Status Down() {
    cri::StopContainerRequest stop;
    stop.set_container_id(container_);
    RETURN_IF_ERROR(Timed("StopContainer", &container_, [&] { return client_->StopContainer(stop).status(); }));
    cri::RemoveContainerRequest remove;
    remove.set_container_id(container_);
    RETURN_IF_ERROR(Timed("RemoveContainer", &container_, [&] { return client_->RemoveContainer(remove).status(); }));
    return RemovePod();
  }

  absl::Status RunPod() {
    cri::RunPodSandboxRequest request;
    *request.mutable_config() = pod_config_;
    return Timed("RunPodSandbox", &pod_, [&] {
      const auto response = client_->RunPodSandbox(request);
      if (response.ok()) pod_ = response->pod_sandbox_id();
      return response.status();
    });
  }

  absl::Status Create(const std::string& name) {
    cri::CreateContainerRequest request;
    request.set_pod_sandbox_id(pod_);
    *request.mutable_sandbox_config() = pod_config_;
    auto* config = request.mutable_config();
    config->mutable_metadata()->set_name(name);
    config->mutable_image()->set_image(kTestImage);
    config->add_command("/bin/sleep");
    config->add_command("100000");
    config->set_log_path(name + ".log");
    config->mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(cri::CONTAINER);
    return Timed("CreateContainer", &container_, [&] {
      const auto response = client_->CreateContainer(request);
      if (response.ok()) container_ = response->container_id();
      return response.status();
    });
  }

  absl::Status RemovePod() {
    cri::StopPodSandboxRequest stop;
    stop.set_pod_sandbox_id(pod_);
    RETURN_IF_ERROR(Timed("StopPodSandbox", &pod_, [&] { return client_->StopPodSandbox(stop).status(); }));
    cri::RemovePodSandboxRequest remove;
    remove.set_pod_sandbox_id(pod_);
    return Timed("RemovePodSandbox", &pod_, [&] { return client_->RemovePodSandbox(remove).status(); });
  }

  const std::vector<Span>& spans() const { return spans_; }

 private:
  template <typename Call>
  absl::Status Timed(const char* row, const std::string* id, Call call) {
    Span span;
    span.row = row;
    span.start = MonotonicNanos();
    const absl::Status status = call();
    span.end = MonotonicNanos();
    span.id = *id;
    spans_.push_back(std::move(span));
    return Annotate(status, row);
  }

  CriClient* const client_;
  cri::PodSandboxConfig pod_config_;
  std::string pod_, container_;
  std::vector<Span> spans_;
};

struct Split {
  double total = 0, executor = 0, network = 0;
  double own() const { return total - executor - network; }
  void Add(const Split& other) {
    total += other.total;
    executor += other.executor;
    network += other.network;
  }
};

Split SplitOf(const Span& span, const std::vector<ProcessTime>& times) {
  Split split;
  split.total = static_cast<double>(span.end - span.start) / kMs;
  split.executor = static_cast<double>(Covered(times, true, span.id, span.start, span.end)) / kMs;
  split.network = static_cast<double>(Covered(times, false, span.id, span.start, span.end)) / kMs;
  return split;
}

void Report(const Life& life, const std::vector<ProcessTime>& times, const std::string& how, Results* results) {
  Split up;
  for (const Span& span : life.spans()) {
    const Split split = SplitOf(span, times);
    results->Sampled(absl::StrCat(how, span.row, ", ms")).Add(split.total);
    if (span.row == "RunPodSandbox" || span.row == "CreateContainer" || span.row == "StartContainer") up.Add(split);
  }
  results->Sampled(how + "**Run+Create+Start**, ms").Add(up.total);
  results->Sampled(how + "Run+Create+Start: executor, ms").Add(up.executor);
  results->Sampled(how + "Run+Create+Start: CNI, ms").Add(up.network);
  results->Sampled(how + "**Run+Create+Start: own time**, ms").Add(up.own());
}

class Bench {
 public:
  Bench(Runtime* runtime, const Plan& plan)
      : runtime_(runtime), plan_(plan), client_(runtime->socket()), results_(runtime->name()) {}

  absl::StatusOr<Results> Run() {
    RETURN_IF_ERROR(Size());
    absl::SleepFor(absl::Seconds(2));
    results_.Set("daemon idle, PSS MiB", static_cast<double>(Pss(runtime_->pid())) / kMiB);
    Say("one after the other");
    RETURN_IF_ERROR(Sequential());
    Say("four at a time");
    RETURN_IF_ERROR(Parallel());
    Say("memory");
    RETURN_IF_ERROR(Memory());
    Say("lists");
    RETURN_IF_ERROR(Lists());
    Say("idle after load");
    absl::SleepFor(absl::Seconds(plan_.settle_seconds));
    results_.Set(absl::StrCat("daemon ", plan_.settle_seconds, " s after load, PSS MiB"),
                 static_cast<double>(Pss(runtime_->pid())) / kMiB);
    return results_;
  }

 private:
  void Say(const char* what) { std::fprintf(stderr, "%s: %s\n", runtime_->name().c_str(), what); }

  absl::Status Size() {
    struct stat file;
    if (stat(runtime_->program().c_str(), &file) != 0) return ErrnoStatus("stat " + runtime_->program());
    results_.Set("size of the daemon's program, MiB", static_cast<double>(file.st_size) / kMiB);
    return absl::OkStatus();
  }

  absl::Status Sequential() {
    Life warm_up(&client_, runtime_->logs(), number_++);
    RETURN_IF_ERROR(warm_up.Up());
    RETURN_IF_ERROR(warm_up.Down());
    for (int i = 0; i < plan_.rounds; ++i) {
      Life life(&client_, runtime_->logs(), number_++);
      RETURN_IF_ERROR(life.Up());
      RETURN_IF_ERROR(life.Down());
      ASSIGN_OR_RETURN(const auto times, runtime_->TakeTimes());
      Report(life, times, "", &results_);
    }
    return absl::OkStatus();
  }

  absl::Status Parallel() {
    std::vector<std::vector<std::unique_ptr<Life>>> lives(kParallel);
    std::vector<absl::Status> statuses(kParallel);
    std::vector<std::thread> threads;
    for (int t = 0; t < kParallel; ++t) {
      for (int i = 0; i < std::max(1, plan_.rounds / kParallel); ++i) {
        lives[t].push_back(std::make_unique<Life>(&client_, runtime_->logs(), number_++));
      }
    }
    for (int t = 0; t < kParallel; ++t) {
      threads.emplace_back([&, t] {
        for (const auto& life : lives[t]) {
          if (statuses[t].ok()) statuses[t] = life->Up();
          if (statuses[t].ok()) statuses[t] = life->Down();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const absl::Status& status : statuses) RETURN_IF_ERROR(status);
    ASSIGN_OR_RETURN(const auto times, runtime_->TakeTimes());
    for (const auto& some : lives) {
      for (const auto& life : some) Report(*life, times, "4 at a time: ", &results_);
    }
    return absl::OkStatus();
  }

  absl::Status Memory() {
    const uint64_t before = PssOfRuntime();
    std::vector<std::unique_ptr<Life>> lives;
    for (int i = 0; i < plan_.pods; ++i) {
      lives.push_back(std::make_unique<Life>(&client_, runtime_->logs(), number_++));
      RETURN_IF_ERROR(lives.back()->Up());
    }
    absl::SleepFor(absl::Seconds(3));
    const uint64_t after = PssOfRuntime();
    results_.Set("per pod with one container, PSS MiB",
                 (static_cast<double>(after) - static_cast<double>(before)) / kMiB / plan_.pods);
    for (const auto& life : lives) RETURN_IF_ERROR(life->Down());
    return absl::OkStatus();
  }

  absl::Status Lists() {
    std::vector<std::unique_ptr<Life>> pods;
    constexpr int kPerPod = 50;
    for (int i = 0; i < plan_.records; ++i) {
      if (i % kPerPod == 0) {
        pods.push_back(std::make_unique<Life>(&client_, runtime_->logs(), number_++));
        RETURN_IF_ERROR(pods.back()->RunPod());
      }
      RETURN_IF_ERROR(pods.back()->Create(absl::StrCat("c", i)));
    }
    for (int i = 0; i < 100; ++i) {
      const int64_t start = MonotonicNanos();
      ASSIGN_OR_RETURN(const auto list, client_.ListContainers(cri::ListContainersRequest()));
      results_.Sampled(absl::StrCat("ListContainers of ", plan_.records, ", ms"))
          .Add(static_cast<double>(MonotonicNanos() - start) / kMs);
      if (list.containers_size() != plan_.records) return absl::InternalError("the list is not complete");
    }
    for (const auto& pod : pods) RETURN_IF_ERROR(pod->RemovePod());
    return runtime_->TakeTimes().status();
  }

  Runtime* const runtime_;
  const Plan plan_;
  CriClient client_;
  Results results_;
  int number_ = 0;
};

// On nodes it is below /run.
absl::Status MountState(const std::string& directory) {
  RETURN_IF_ERROR(MakeDirs(directory));
  if (mount("tmpfs", directory.c_str(), "tmpfs", 0, "mode=0755") == 0) return absl::OkStatus();
  return ErrnoStatus("mount tmpfs on " + directory);
}

absl::Status Measure(const Plan& plan) {
  std::vector<Results> results;
  RuntimeOptions options;
  options.runfiles = TheWorld().runfiles;
  options.tag = TheWorld().tag;
  for (const bool other : {false, true}) {
    if (other && !plan.containerd) break;
    options.directory = TheWorld().directory + (other ? "/other" : "/berth");
    RETURN_IF_ERROR(MountFreshDisk(options.directory, kDiskMegabytes));
    RETURN_IF_ERROR(MountState(options.directory + "/state"));
    auto runtime = other ? StartContainerd(options) : StartBerth(options);
    if (other && absl::IsNotFound(runtime.status())) {
      std::fprintf(stderr, "%s\n", std::string(runtime.status().message()).c_str());
      break;
    }
    RETURN_IF_ERROR(runtime.status());
    ASSIGN_OR_RETURN(Results result, Bench(runtime->get(), plan).Run());
    results.push_back(std::move(result));
  }
  std::printf("%s", Table(results).c_str());
  return absl::OkStatus();
}

}  // namespace
}  // namespace berth

int main(int argc, char** argv) {
#ifdef NDEBUG
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);  // as the daemon does, see core/main.cc
#endif
  berth::Plan plan;
  CLI::App app("Measures Berth and an installed containerd side by side");
  app.add_option("--rounds", plan.rounds, "Pods one after the other, and again four at a time");
  app.add_option("--pods", plan.pods, "Pods for the memory of one");
  app.add_option("--records", plan.records, "Containers for the lists");
  app.add_option("--settle", plan.settle_seconds, "Seconds from the last call to the last look at memory");
  app.add_flag("!--berth-only", plan.containerd, "Leave containerd out");
  CLI11_PARSE(app, argc, argv);
  return berth::RunIsolated(argv[0], [&plan] {
    const absl::Status status = berth::Measure(plan);
    if (status.ok()) return 0;
    std::fprintf(stderr, "bench: %s\n", status.ToString().c_str());
    return 1;
  });
}
