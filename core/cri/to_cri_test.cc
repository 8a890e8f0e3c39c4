#include "core/cri/to_cri.h"

#include <gtest/gtest.h>
#include <signal.h>

namespace berth {
namespace {

PodView MakePod() {
  PodView view;
  auto config = std::make_shared<cri::PodSandboxConfig>();
  config->mutable_metadata()->set_name("web");
  config->mutable_metadata()->set_namespace_("shop");
  config->mutable_metadata()->set_uid("u-1");
  config->mutable_metadata()->set_attempt(3);
  (*config->mutable_labels())["app"] = "web";
  (*config->mutable_annotations())["note"] = "any \"text\"";
  config->mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(cri::NODE);
  view.config = config;
  view.record.set_id("p1");
  view.record.set_state(state::v1::Pod::READY);
  view.record.set_created_at(7);
  view.record.set_runtime_handler("crun");
  for (const char* ip : {"10.0.0.2", "fd00::2", "10.1.0.2"}) view.record.add_ips(ip);
  return view;
}

ContainerView MakeContainer() {
  ContainerView view;
  auto config = std::make_shared<cri::ContainerConfig>();
  config->mutable_metadata()->set_name("nginx");
  config->mutable_image()->set_image("sha256:abc");
  config->mutable_image()->set_user_specified_image("nginx:1.2");
  (*config->mutable_labels())["tier"] = "front";
  config->add_mounts()->set_container_path("/data");
  view.config = config;
  view.record.set_id("c1");
  view.record.set_pod_id("p1");
  view.record.set_state(state::v1::Container::EXITED);
  view.record.set_image_id("sha256:abc");
  view.record.set_image_ref("docker.io/library/nginx@sha256:def");
  view.record.set_created_at(1);
  view.record.set_started_at(2);
  view.record.set_finished_at(3);
  view.record.set_exit_code(137);
  view.record.set_reason("OOMKilled");
  view.record.set_message("too much");
  view.record.set_log_path("/var/log/pods/x/0.log");
  view.record.set_uid(33);
  view.record.set_gid(34);
  view.record.add_supplemental_groups(35);
  view.record.set_stop_signal(SIGQUIT);
  cri::LinuxContainerResources resources;
  resources.set_cpu_shares(512);
  view.record.set_resources(resources.SerializeAsString());
  return view;
}

TEST(ToCriTest, AReadyPodHasItsAddresses) {
  cri::PodSandboxStatus status;
  ToCri(MakePod(), &status);
  EXPECT_EQ(status.id(), "p1");
  EXPECT_EQ(status.metadata().attempt(), 3u);
  EXPECT_EQ(status.state(), cri::SANDBOX_READY);
  EXPECT_EQ(status.created_at(), 7);
  EXPECT_EQ(status.network().ip(), "10.0.0.2");
  ASSERT_EQ(status.network().additional_ips_size(), 2);
  EXPECT_EQ(status.network().additional_ips(0).ip(), "fd00::2");
  EXPECT_EQ(status.linux().namespaces().options().pid(), cri::NODE);
  EXPECT_EQ(status.labels().at("app"), "web");
  EXPECT_EQ(status.annotations().at("note"), "any \"text\"");
  EXPECT_EQ(status.runtime_handler(), "crun");

  cri::PodSandbox listed;
  ToCri(MakePod(), &listed);
  EXPECT_EQ(listed.metadata().name(), "web");
  EXPECT_EQ(listed.state(), cri::SANDBOX_READY);
  EXPECT_EQ(listed.runtime_handler(), "crun");
}

TEST(ToCriTest, AStoppedPodGaveItsAddressesBack) {
  PodView view = MakePod();
  view.record.set_state(state::v1::Pod::NOT_READY);
  view.record.set_network_torn_down(true);
  cri::PodSandboxStatus status;
  ToCri(view, &status);
  EXPECT_EQ(status.state(), cri::SANDBOX_NOTREADY);
  EXPECT_TRUE(status.has_network());
  EXPECT_EQ(status.network().ip(), "");
}

TEST(ToCriTest, AContainersStatusIsComplete) {
  const ContainerView view = MakeContainer();
  ImageRecord image;
  image.repo_tags = {"docker.io/library/nginx:1.1", "docker.io/library/nginx:1.2"};
  cri::ContainerStatus status;
  ToCri(view, &image, &status);
  EXPECT_EQ(status.image().image(), "docker.io/library/nginx:1.2") << "the tag that was written";
  EXPECT_EQ(status.image().user_specified_image(), "nginx:1.2");
  EXPECT_EQ(status.image_ref(), "docker.io/library/nginx@sha256:def");
  EXPECT_EQ(status.image_id(), "sha256:abc");
  EXPECT_EQ(status.state(), cri::CONTAINER_EXITED);
  EXPECT_EQ(status.started_at(), 2);
  EXPECT_EQ(status.finished_at(), 3);
  EXPECT_EQ(status.exit_code(), 137);
  EXPECT_EQ(status.reason(), "OOMKilled");
  EXPECT_EQ(status.message(), "too much");
  EXPECT_EQ(status.log_path(), "/var/log/pods/x/0.log");
  EXPECT_EQ(status.mounts(0).container_path(), "/data");
  EXPECT_EQ(status.resources().linux().cpu_shares(), 512);
  EXPECT_EQ(status.user().linux().uid(), 33);
  EXPECT_EQ(status.user().linux().gid(), 34);
  EXPECT_EQ(status.user().linux().supplemental_groups(0), 35);
  EXPECT_EQ(status.stop_signal(), cri::SIGNAL_SIGQUIT);
  EXPECT_EQ(status.labels().at("tier"), "front");

  cri::ContainerStatus without;
  ToCri(view, nullptr, &without);
  EXPECT_EQ(without.image().image(), "sha256:abc") << "what was asked for, when the image is gone";
}

TEST(ToCriTest, ListedContainersSayWhatWasAskedFor) {
  cri::Container container;
  ToCri(MakeContainer(), &container);
  EXPECT_EQ(container.pod_sandbox_id(), "p1");
  EXPECT_EQ(container.image().image(), "sha256:abc");
  EXPECT_EQ(container.image_id(), "sha256:abc");
  EXPECT_EQ(container.state(), cri::CONTAINER_EXITED);
}

TEST(ToCriTest, DamagedResourcesAreLeftOut) {
  ContainerView view = MakeContainer();
  view.record.set_resources("\xFF\xFF\xFF");
  cri::ContainerStatus status;
  ToCri(view, nullptr, &status);
  EXPECT_FALSE(status.has_resources());
}

TEST(ToCriTest, AnImagesUserIsANumberOrAName) {
  const auto convert = [](const std::string& user) {
    ImageRecord record;
    record.id = "sha256:abc";
    record.user = user;
    cri::Image image;
    ToCri(record, &image);
    return image;
  };
  EXPECT_EQ(convert("").uid().value(), 0);
  EXPECT_TRUE(convert("").has_uid());
  EXPECT_EQ(convert("1002:1003").uid().value(), 1002);
  EXPECT_EQ(convert("1002:1003").username(), "");
  EXPECT_EQ(convert("www-data:www").username(), "www-data");
  EXPECT_FALSE(convert("www-data").has_uid());
  EXPECT_EQ(convert("-1").username(), "-1");
  EXPECT_EQ(convert("99999999999").username(), "99999999999");
  EXPECT_EQ(convert("").spec().image(), "sha256:abc");
}

}  // namespace
}  // namespace berth
