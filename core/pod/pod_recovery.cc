// Pods of an earlier daemon: what they are, and what was under way with them.
#include "absl/strings/str_cat.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/pod/pod_config.h"
#include "core/pod/pods.h"

namespace berth {

absl::Status Pods::Load() {
  return env_.store->ForEach(Table::kPods, [&](absl::string_view key, absl::string_view data) -> absl::Status {
    PodView view;
    auto config = std::make_shared<runtime::v1::PodSandboxConfig>();
    if (!view.record.ParseFromArray(data.data(), static_cast<int>(data.size())) || view.record.id() != key ||
        !config->ParseFromString(view.record.config())) {
      return absl::DataLossError(absl::StrCat("read the record of pod sandbox ", key, ": it is damaged"));
    }
    view.config = config;
    const bool half_made = view.record.state() == state::v1::Pod::CREATING;
    const Handler* handler = env_.handlers->Find(view.record.runtime_handler());
    auto pod = std::make_shared<Pod>(env_.pool, handler, std::move(view));
    pod->EndRun();
    if (half_made) {
      // Its RunPodSandbox was never answered: the name belongs to whoever asks again, or has already.
      table_.InsertUnnamed(pod->id(), pod);
    } else {
      table_.Insert(pod->id(), PodNameKey(config->metadata()), pod);
    }
    return absl::OkStatus();
  });
}

void Pods::Reattach(int64_t deadline_ns) {
  const std::vector<std::shared_ptr<Pod>> all = table_.All();
  recovering_.Add(all.size());
  for (const auto& pod : all) Recover(pod);
  if (const size_t left = recovering_.WaitUntil(deadline_ns); left > 0) {
    LogWarn("pod sandboxes that are not reattached yet; it goes on while calls are served", {{"pods", left}});
  }
  if (!all.empty()) StartBeating();
}

void Pods::Recover(const std::shared_ptr<Pod>& pod) {
  state::v1::Pod record = pod->view()->record;
  if (record.state() == state::v1::Pod::CREATING && !record.netns_path().empty() && record.networks().empty()) {
    // Networks are torn down as if set up: Teardown is idempotent.
    for (auto& attachment : env_.networks->Possible()) *record.add_networks() = std::move(attachment);
    pod->set_record(record);
  }
  if (record.boot_id() != env_.boot_id) return RecoverAfterBoot(pod);
  pod->queue().Hold();
  pod->Await();
  SearchFor(pod);
}

// Nothing has to be asked, so all of it is true before the first call is served.
void Pods::RecoverAfterBoot(const std::shared_ptr<Pod>& pod) {
  members_->OnReboot(pod);
  if (pod->view()->record.state() == state::v1::Pod::READY) MarkNotReady(pod);
  recovering_.One();
}

void Pods::Settle(const std::shared_ptr<Pod>& pod, Task first) {
  pod->queue().Release([this, first = std::move(first)] {
    first();
    recovering_.One();
  });
}

void Pods::Resume() {
  for (const auto& pod : table_.All()) {
    const state::v1::Pod record = pod->view()->record;
    if (record.state() == state::v1::Pod::CREATING) {
      pod->queue().Add([this, pod] { Undo(pod); });
    } else if (record.removing()) {
      Remove(record.id(), [id = record.id()](absl::Status removed) {
        if (!removed.ok()) LogWarn("remove pod sandbox of before", {{"pod", id}, {"error", removed.message()}});
      });
    } else if (record.state() == state::v1::Pod::NOT_READY && !record.network_torn_down()) {
      Stop(record.id(), [id = record.id()](absl::Status stopped) {
        if (!stopped.ok()) LogWarn("stop pod sandbox of before", {{"pod", id}, {"error", stopped.message()}});
      });
    }
  }
  env_.pool->Add([this] { CollectNetworks(); });
}

// Pods that come meanwhile are known to the hooks themselves; those that are being undone or stopped still count.
void Pods::CollectNetworks() {
  std::vector<std::string> valid;
  for (const auto& pod : table_.All()) {
    const std::shared_ptr<const PodView> view = pod->view();
    if (!view->record.netns_path().empty() && !view->record.network_torn_down()) valid.push_back(view->record.id());
  }
  const absl::Status status = env_.networks->Gc(valid);
  if (status.ok()) return;
  LogWarn("networks of pods that are gone; it is tried again", {{"error", status.message()}});
  retries_.Failed("networks", [this] { env_.pool->Add([this] { CollectNetworks(); }); });
}

}  // namespace berth
