#include "tools/load/cuts_load.h"

#include <atomic>
#include <deque>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/status.h"
#include "tools/load/cuts_images.h"
#include "tools/load/patient_client.h"

namespace berth {
namespace {

constexpr size_t kMaxPods = 2;  // of one client

class Client {
 public:
  Client(const CutsNode& node, int number, LoadReport* report)
      : ledger_(*node.ledger),
        options_(node.options),
        name_(absl::StrCat("client", number)),
        image_(CutsImage(number)),
        random_(node.options.seed * 1000 + static_cast<uint64_t>(number)),
        client_(node.options.socket, /*may_be_interrupted=*/false, report) {
    options_.image = image_;
  }

  // One thing that a kubelet might do next.
  absl::Status Step() {
    if (!has_image_) return Pull();
    const uint64_t kind = random_() % 10;
    if (kind < 3) return RemoveImage();
    if (kind < 4) return Pull();
    if (pods_.size() < kMaxPods && kind < 8) return RunPod();
    return pods_.empty() ? RemoveImage() : RemovePod();
  }

 private:
  absl::Status Pull() {
    ledger_.Write(LedgerVerb::kPulling, image_);
    RETURN_IF_ERROR(Annotate(client_.Pull(image_).status(), "pull " + image_));
    ledger_.Write(LedgerVerb::kPulled, image_);
    has_image_ = true;
    return absl::OkStatus();
  }

  absl::Status RemoveImage() {
    ledger_.Write(LedgerVerb::kRemovingImage, image_);
    RETURN_IF_ERROR(Annotate(client_.RemoveImage(image_), "remove " + image_));
    ledger_.Write(LedgerVerb::kRemovedImage, image_);
    has_image_ = false;
    return absl::OkStatus();
  }

  absl::Status RunPod() {
    const cri::PodSandboxConfig config = LoadPod(options_, absl::StrCat(name_, "-", count_++));
    ASSIGN_OR_RETURN(const std::string pod, client_.RunPod(config));
    ledger_.Write(LedgerVerb::kPod, pod);
    pods_.push_back(pod);
    ASSIGN_OR_RETURN(const std::string container,
                     client_.Create(pod, config, LoadContainer(options_, "main", "echo here; sleep 1000")));
    ledger_.Write(LedgerVerb::kContainer, container);
    if (random_() % 8 != 0) RETURN_IF_ERROR(client_.Start(container));
    if (random_() % 4 != 0) return absl::OkStatus();
    RETURN_IF_ERROR(client_.Remove(container));
    ledger_.Write(LedgerVerb::kRemovedContainer, container);
    return absl::OkStatus();
  }

  absl::Status RemovePod() {
    const std::string pod = pods_.front();
    pods_.pop_front();
    if (random_() % 3 == 0) RETURN_IF_ERROR(client_.StopPod(pod));
    ledger_.Write(LedgerVerb::kRemovingPod, pod);
    RETURN_IF_ERROR(client_.RemovePod(pod));
    ledger_.Write(LedgerVerb::kRemovedPod, pod);
    return absl::OkStatus();
  }

  Ledger& ledger_;
  LoadOptions options_;
  const std::string name_, image_;
  std::mt19937_64 random_;
  PatientClient client_;
  bool has_image_ = false;  // nor do we know of one from before the cut: that is
                            // pulled once more
  std::deque<std::string> pods_;
  uint64_t count_ = 0;
};

}  // namespace

std::vector<std::string> RunCutsClients(const CutsNode& node, absl::Duration limit) {
  LoadReport report;
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  threads.reserve(kCutsImages);
  const absl::Time end = absl::Now() + limit;
  for (int number = 0; number < kCutsImages; ++number) {
    threads.emplace_back([&, number] {
      Client client(node, number, &report);
      while (!stop && absl::Now() < end) {
        const absl::Status status = client.Step();
        if (status.ok()) continue;
        report.Fault(absl::StrCat("client ", number, ": ", status.ToString()));
        stop = true;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return report.faults();
}

}  // namespace berth
