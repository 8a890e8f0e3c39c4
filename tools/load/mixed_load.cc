#include "tools/load/mixed_load.h"

#include <random>

#include "absl/strings/str_cat.h"
#include "tools/load/patient_client.h"
#include "tools/load/short_life.h"
#include "tools/load/ticker.h"

namespace berth {
namespace {

absl::Status PullAndRemove(const std::string& image, std::mt19937_64* random, PatientClient* client,
                           LoadReport* report) {
  if (image.empty()) return absl::OkStatus();
  // Another client may remove it in between, or pull it again: neither is an error.
  if ((*random)() % 3 == 0) return client->RemoveImage(image);
  const auto pulled = client->Pull(image);
  if (pulled.ok()) ++report->counts().pulls;
  return pulled.status();
}

}  // namespace

void MixedLoad::Start() {
  for (int i = 0; i < options_.clients; ++i) threads_.emplace_back([this, i] { RunClient(i); });
}

void MixedLoad::Stop() {
  stop_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  if (options_.transient_image.empty()) return;
  PatientClient client(options_.socket, options_.may_be_interrupted, &report_);
  if (const absl::Status removed = client.RemoveImage(options_.transient_image); !removed.ok()) {
    report_.Fault(absl::StrCat("remove the image: ", removed.ToString()));
  }
}

void MixedLoad::RunClient(int number) {
  const std::string name = absl::StrCat("client", number);
  std::mt19937_64 random(options_.seed * 1000 + static_cast<uint64_t>(number));
  PatientClient client(options_.socket, options_.may_be_interrupted, &report_);
  const auto expect = [&](const char* what, const absl::Status& status) {
    if (!status.ok()) report_.Fault(absl::StrCat(name, ": ", what, ": ", status.ToString()));
    return status.ok();
  };
  Ticker ticker(options_, absl::StrCat(name, "-ticker"), &client, &report_);
  const bool ticks = expect("start the ticker", ticker.Start());
  for (uint64_t round = 0; ticks && !stop_; ++round) {
    const uint64_t kind = random() % 20;
    if (kind < 10) {
      expect("short life", LiveShortLife(options_, absl::StrCat(name, "-", round), &random, &client, &report_));
    } else if (kind < 13) {
      expect("exec", ticker.Exec(random() % 100'000));
    } else if (kind < 15) {
      expect("update", ticker.Update(random()));
    } else if (kind < 17) {
      expect("rotate the log", ticker.RotateLog());
    } else if (kind < 19) {
      expect("images", PullAndRemove(options_.transient_image, &random, &client, &report_));
    } else {
      expect("the ticker", ticker.Check());
    }
  }
  if (ticks) expect("finish the ticker", ticker.Finish());
}

}  // namespace berth
