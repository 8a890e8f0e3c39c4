// Measures pulls of a large image from a registry on this machine: Berth, and containerd beside it when it is
// installed. See tools/bench/README.md for what each row means.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/cri/client/cri_client.h"
#include "tools/bench/fresh_disk.h"
#include "tools/bench/memory.h"
#include "tools/bench/runtime.h"
#include "tools/bench/samples.h"
#include "tools/image/oci_layout.h"
#include "tools/integration/isolation.h"
#include "tools/integration/registry_server.h"
#include "tools/integration/registry_store.h"

namespace berth {
namespace {

struct Plan {
  int rounds = 3;
  int megabytes = 500, layers = 8, files = 30'000;  // of the image, unpacked
  bool containerd = true;
};

struct Format {
  const char* name;
  LayerFormat layer;
};
constexpr Format kFormats[] = {{"gzip", LayerFormat::kGzip}, {"zstd", LayerFormat::kZstd}};
constexpr char kHost[] = "127.0.0.1:5000";

// Compresses to about a half, as programs and their data do: words of noise, each several times.
std::string Content(size_t size, std::minstd_rand& random) {
  std::string out;
  out.reserve(size + 64);
  while (out.size() < size) {
    std::string word(8 + random() % 24, '\0');
    for (char& c : word) c = static_cast<char>(random() >> 8);
    for (unsigned i = random() % 4 + 1; i > 0; --i) out += word;
  }
  out.resize(size);
  return out;
}

absl::StatusOr<std::vector<std::string>> MakeLayers(const Plan& plan) {
  std::minstd_rand random(1);
  std::vector<std::string> layers;
  const int files = plan.files / plan.layers;
  const size_t size = (static_cast<size_t>(plan.megabytes) << 20) / static_cast<size_t>(plan.files);
  for (int layer = 0; layer < plan.layers; ++layer) {
    std::vector<LayerEntry> entries;
    for (int i = 0; i < files; ++i) {
      const std::string directory = absl::StrCat("layer-", layer, "/", i / 100, "/");
      if (i % 100 == 0) entries.push_back({LayerEntry::Type::kDirectory, directory, "", 0755});
      // From an eighth of the mean to nearly twice of it.
      entries.push_back({LayerEntry::Type::kFile, absl::StrCat(directory, i),
                         Content(size / 8 + random() % (size * 7 / 4), random), 0644});
    }
    ASSIGN_OR_RETURN(std::string tar, MakeTar(entries));
    layers.push_back(std::move(tar));
  }
  return layers;
}

// The most memory that any pull worker has had: VmHWM, sampled.
class WorkerPeak {
 public:
  WorkerPeak() : thread_([this] { Watch(); }) {}
  ~WorkerPeak() { Stop(); }
  uint64_t Stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    return peak_;
  }

 private:
  void Watch() {
    for (; !stop_; absl::SleepFor(absl::Milliseconds(20))) {
      for (const std::string& pid : ListDir("/proc").value_or(std::vector<std::string>())) {
        if (!absl::StrContains(ReadFile(absl::StrCat("/proc/", pid, "/cmdline")).value_or(""), "pull-worker")) continue;
        peak_ = std::max(peak_, PeakResident(pid));
      }
    }
  }

  std::atomic<bool> stop_{false};
  uint64_t peak_ = 0;
  std::thread thread_;
};

absl::Status MeasureFormat(Runtime* runtime, const Plan& plan, const Format& format, Results* results) {
  CriClient client(runtime->socket());
  const std::string reference = absl::StrCat(kHost, "/bench/", format.name, ":1");
  for (int round = 0; round < plan.rounds; ++round) {
    std::fprintf(stderr, "%s: %s, round %d\n", runtime->name().c_str(), format.name, round + 1);
    sync();
    WorkerPeak peak;
    cri::PullImageRequest pull;
    pull.mutable_image()->set_image(reference);
    const int64_t begin = MonotonicNanos();
    RETURN_IF_ERROR(client.PullImage(pull, absl::Minutes(30)).status());
    const int64_t answered = MonotonicNanos();
    sync();
    const int64_t durable = MonotonicNanos();
    const std::string row = absl::StrCat("PullImage, ", format.name);
    results->Sampled(row + ", s").Add(static_cast<double>(answered - begin) / 1e9);
    results->Sampled(absl::StrCat("**", row, ", until durable**, s")).Add(static_cast<double>(durable - begin) / 1e9);
    if (const uint64_t bytes = peak.Stop(); bytes > 0) {
      results->Sampled(row + ": peak of the pull worker, MiB").Add(static_cast<double>(bytes) / (1 << 20));
    }
    cri::RemoveImageRequest remove;
    remove.mutable_image()->set_image(reference);
    RETURN_IF_ERROR(client.RemoveImage(remove).status());
    absl::SleepFor(absl::Seconds(2));  // whatever the removal leaves to do
  }
  return absl::OkStatus();
}

absl::Status Measure(const Plan& plan) {
  const std::string& directory = TheWorld().directory;
  RegistryStore store(directory + "/registry/store");
  {
    ASSIGN_OR_RETURN(const std::vector<std::string> layers, MakeLayers(plan));
    for (const Format& format : kFormats) {
      RETURN_IF_ERROR(
          store.Add(absl::StrCat("bench/", format.name), "1", ManifestFormat::kOci, format.layer, layers).status());
    }
  }
  RegistryServerOptions server;
  server.store = store.root();
  ASSIGN_OR_RETURN(const RegistryServer registry, RegistryServer::Start(directory + "/registry", server));
  RuntimeOptions options;
  options.runfiles = TheWorld().runfiles;
  options.tag = TheWorld().tag;
  std::vector<Results> results;
  for (const bool other : {false, true}) {
    if (other && !plan.containerd) break;
    options.directory = directory + (other ? "/other" : "/berth");
    // For the image, its compressed form beside it, and what is not freed yet of the last round's.
    RETURN_IF_ERROR(MountFreshDisk(options.directory, static_cast<uint64_t>(plan.megabytes) * 6 + 1024));
    auto runtime = other ? StartContainerd(options) : StartBerth(options);
    if (other && absl::IsNotFound(runtime.status())) break;
    RETURN_IF_ERROR(runtime.status());
    results.emplace_back((*runtime)->name());
    for (const Format& format : kFormats) RETURN_IF_ERROR(MeasureFormat(runtime->get(), plan, format, &results.back()));
  }
  std::printf("%s", Table(results).c_str());
  return absl::OkStatus();
}

}  // namespace
}  // namespace berth

int main(int argc, char** argv) {
  berth::Plan plan;
  CLI::App app("Measures pulls by Berth and an installed containerd side by side");
  app.add_option("--rounds", plan.rounds, "Pulls of each format")->check(CLI::Range(1, 1000));
  app.add_option("--megabytes", plan.megabytes, "Size of the image, unpacked")->check(CLI::Range(8, 4000));
  app.add_option("--layers", plan.layers, "Its layers")->check(CLI::Range(1, 100));
  app.add_option("--files", plan.files, "Its files")->check(CLI::Range(100, 1'000'000));
  app.add_flag("!--berth-only", plan.containerd, "Leave containerd out");
  CLI11_PARSE(app, argc, argv);
  return berth::RunIsolated(argv[0], [&plan] {
    const absl::Status status = berth::Measure(plan);
    if (status.ok()) return 0;
    std::fprintf(stderr, "pull_bench: %s\n", status.ToString().c_str());
    return 1;
  });
}
