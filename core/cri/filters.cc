#include "core/cri/filters.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/cri/to_cri.h"

namespace berth {
namespace {

using Labels = google::protobuf::Map<std::string, std::string>;

absl::Status CheckSelector(const Labels& selector) {
  if (selector.size() > kMostSelectors) {
    return absl::InvalidArgumentError(
        absl::StrCat("filter: label_selector has ", selector.size(), " entries, more than ", kMostSelectors));
  }
  return absl::OkStatus();
}

bool HasAll(const Labels& labels, const Labels& wanted) {
  for (const auto& [key, value] : wanted) {
    const auto found = labels.find(key);
    if (found == labels.end() || found->second != value) return false;
  }
  return true;
}

}  // namespace

absl::Status CheckFilter(const cri::PodSandboxFilter& filter) {
  if (filter.has_state() && !cri::PodSandboxState_IsValid(filter.state().state())) {
    return absl::InvalidArgumentError(absl::StrCat("filter: ", filter.state().state(), " is no state of a sandbox"));
  }
  return CheckSelector(filter.label_selector());
}

absl::Status CheckFilter(const cri::ContainerFilter& filter) {
  if (filter.has_state() && !cri::ContainerState_IsValid(filter.state().state())) {
    return absl::InvalidArgumentError(absl::StrCat("filter: ", filter.state().state(), " is no state of a container"));
  }
  return CheckSelector(filter.label_selector());
}

absl::Status CheckFilter(const cri::ContainerStatsFilter& filter) { return CheckSelector(filter.label_selector()); }

bool Matches(const cri::PodSandboxFilter& filter, const PodView& view) {
  return absl::StartsWith(view.record.id(), filter.id()) &&
         (!filter.has_state() || filter.state().state() == StateOf(view)) &&
         HasAll(view.config->labels(), filter.label_selector());
}

bool Matches(const cri::ContainerFilter& filter, const ContainerView& view) {
  return absl::StartsWith(view.record.id(), filter.id()) &&
         absl::StartsWith(view.record.pod_id(), filter.pod_sandbox_id()) &&
         (!filter.has_state() || filter.state().state() == StateOf(view)) &&
         HasAll(view.config->labels(), filter.label_selector());
}

bool Matches(const cri::ContainerStatsFilter& filter, const ContainerView& view) {
  return absl::StartsWith(view.record.id(), filter.id()) &&
         absl::StartsWith(view.record.pod_id(), filter.pod_sandbox_id()) &&
         HasAll(view.config->labels(), filter.label_selector());
}

}  // namespace berth
