// The filters of List and Stream calls: everything a filter names must match; ids match by prefix.
#ifndef BERTH_CORE_CRI_FILTERS_H_
#define BERTH_CORE_CRI_FILTERS_H_

#include "absl/status/status.h"
#include "core/container/container.h"
#include "core/pod/pod.h"
#include "proto/cri/v1/api.pb.h"

namespace berth {

namespace cri = ::runtime::v1;

// Of each label selector: a list costs entries times selectors.
inline constexpr int kMostSelectors = 256;

// kInvalidArgument for a selector with too many entries or a state that does not exist.
absl::Status CheckFilter(const cri::PodSandboxFilter& filter);
absl::Status CheckFilter(const cri::ContainerFilter& filter);
absl::Status CheckFilter(const cri::ContainerStatsFilter& filter);

bool Matches(const cri::PodSandboxFilter& filter, const PodView& view);
bool Matches(const cri::ContainerFilter& filter, const ContainerView& view);
bool Matches(const cri::ContainerStatsFilter& filter, const ContainerView& view);

}  // namespace berth

#endif  // BERTH_CORE_CRI_FILTERS_H_
