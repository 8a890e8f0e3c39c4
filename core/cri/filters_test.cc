#include "core/cri/filters.h"

#include <gtest/gtest.h>

namespace berth {
namespace {

ContainerView MakeContainer() {
  ContainerView view;
  auto config = std::make_shared<cri::ContainerConfig>();
  (*config->mutable_labels())["app"] = "web";
  (*config->mutable_labels())["tier"] = "front";
  view.config = config;
  view.record.set_id("c0ffee");
  view.record.set_pod_id("beef");
  view.record.set_state(state::v1::Container::RUNNING);
  return view;
}

TEST(FiltersTest, EverythingNamedMustMatch) {
  const ContainerView view = MakeContainer();
  cri::ContainerFilter filter;
  EXPECT_TRUE(Matches(filter, view));
  filter.set_id("c0f");
  filter.set_pod_sandbox_id("be");
  filter.mutable_state()->set_state(cri::CONTAINER_RUNNING);
  (*filter.mutable_label_selector())["app"] = "web";
  EXPECT_TRUE(Matches(filter, view));
  (*filter.mutable_label_selector())["tier"] = "back";
  EXPECT_FALSE(Matches(filter, view));
  filter.clear_label_selector();
  filter.mutable_state()->set_state(cri::CONTAINER_CREATED);
  EXPECT_FALSE(Matches(filter, view)) << "CREATED is 0, and is a state to ask for";
  filter.clear_state();
  filter.set_id("0ff");
  EXPECT_FALSE(Matches(filter, view));
  filter.set_id(std::string(100, 'c'));
  EXPECT_FALSE(Matches(filter, view));
}

TEST(FiltersTest, PodsById) {
  PodView view;
  view.config = std::make_shared<cri::PodSandboxConfig>();
  view.record.set_id("beef");
  view.record.set_state(state::v1::Pod::NOT_READY);
  cri::PodSandboxFilter filter;
  filter.set_id("be");
  filter.mutable_state()->set_state(cri::SANDBOX_NOTREADY);
  EXPECT_TRUE(Matches(filter, view));
  (*filter.mutable_label_selector())[""] = "";
  EXPECT_FALSE(Matches(filter, view));
}

TEST(FiltersTest, AbsurdFiltersAreRefused) {
  cri::ContainerFilter filter;
  EXPECT_TRUE(CheckFilter(filter).ok());
  for (int i = 0; i <= kMostSelectors; ++i) (*filter.mutable_label_selector())[std::to_string(i)] = "";
  EXPECT_TRUE(absl::IsInvalidArgument(CheckFilter(filter)));
  cri::PodSandboxFilter pods;
  pods.mutable_state()->set_state(static_cast<cri::PodSandboxState>(9));
  EXPECT_TRUE(absl::IsInvalidArgument(CheckFilter(pods)));
}

}  // namespace
}  // namespace berth
