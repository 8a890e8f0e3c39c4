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

void Pods::Reattach() {
  for (const auto& pod : table_.All()) {
    if (absl::Status status = ReattachOne(pod); !status.ok()) {
      LogError("recover pod sandbox", {{"pod", pod->id()}, {"error", status.message()}});
    }
  }
}

absl::Status Pods::ReattachOne(const std::shared_ptr<Pod>& pod) {
  state::v1::Pod record = pod->view()->record;
  const bool same_boot = record.boot_id() == env_.boot_id;
  if (same_boot) {
    absl::Status connected = Connect(pod);
    if (!connected.ok() && !absl::IsNotFound(connected)) {
      LogWarn("reattach pod sandbox", {{"pod", record.id()}, {"error", connected.message()}});
    }
  }
  if (record.state() == state::v1::Pod::CREATING) {
    // Networks are torn down as if set up: Teardown is idempotent.
    if (!record.netns_path().empty() && record.networks().empty()) {
      for (auto& attachment : env_.networks->Possible()) *record.add_networks() = std::move(attachment);
      pod->set_record(record);
    }
    return absl::OkStatus();
  }
  if (record.state() == state::v1::Pod::READY && pod->supervisor() == nullptr) {
    record.set_state(state::v1::Pod::NOT_READY);
    return Save(pod, record, Durability::kVolatile);
  }
  return absl::OkStatus();
}

void Pods::Resume() {
  for (const auto& pod : table_.All()) {
    const state::v1::Pod record = pod->view()->record;
    if (record.state() == state::v1::Pod::CREATING) {
      pod->queue().Add([this, pod] { Undo(pod); });
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
