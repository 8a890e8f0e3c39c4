#include "core/container/container_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

namespace berth {
namespace {

using runtime::v1::ContainerConfig;
using ::testing::HasSubstr;
using ::testing::StartsWith;

ContainerConfig Minimal() {
  ContainerConfig config;
  config.mutable_metadata()->set_name("c");
  config.mutable_image()->set_image("busybox");
  return config;
}

TEST(CheckContainerConfigTest, TakesAMinimalContainer) { EXPECT_TRUE(CheckContainerConfig(Minimal()).ok()); }

TEST(CheckContainerConfigTest, NamesWhatIsWrong) {
  const auto fails = [](auto&& change, const std::string& with) {
    ContainerConfig config = Minimal();
    change(config);
    const absl::Status status = CheckContainerConfig(config);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << with;
    EXPECT_THAT(status.message(), HasSubstr(with));
  };
  fails([](auto& c) { c.clear_metadata(); }, "no metadata");
  fails([](auto& c) { c.mutable_metadata()->set_name(""); }, "metadata.name is empty");
  fails([](auto& c) { c.mutable_metadata()->set_name(std::string(5000, 'n')); }, "longer than");
  fails([](auto& c) { c.clear_image(); }, "names no image");
  fails([](auto& c) { c.set_log_path("../../etc/passwd"); }, "log_path contains a ..");
  fails([](auto& c) { c.set_log_path("/abs"); }, "log_path is not relative");
  fails([](auto& c) { c.add_command(std::string("a\0b", 3)); }, "command contains a NUL");
  fails([](auto& c) { c.add_envs()->set_key("A=B"); }, "no name of a variable");
  fails([](auto& c) { c.set_working_dir("rel"); }, "working_dir is not absolute");
  fails([](auto& c) { c.add_mounts()->set_container_path("/x/../../y"); }, "mounts.container_path");
  fails([](auto& c) { c.mutable_linux()->mutable_security_context()->mutable_selinux_options()->set_type("a:b"); },
        "selinux_options: type");
  fails(
      [](auto& c) {
        c.mutable_linux()->mutable_security_context()->mutable_apparmor()->set_profile_type(
            runtime::v1::SecurityProfile::Localhost);
      },
      "apparmor: the localhost profile has no name");
  fails([](auto& c) { c.add_mounts()->set_container_path("/x"); }, "mounts.host_path is empty");
  fails([](auto& c) { c.mutable_linux()->mutable_security_context()->mutable_run_as_group()->set_value(5); },
        "without run_as_user");
}

TEST(CheckContainerConfigTest, RecursiveReadOnlyMountsAreReadOnlyAndPrivate) {
  ContainerConfig config = Minimal();
  runtime::v1::Mount* mount = config.add_mounts();
  mount->set_container_path("/x");
  mount->set_host_path("/y");
  mount->set_recursive_read_only(true);
  EXPECT_EQ(CheckContainerConfig(config).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(CheckContainerConfig(config).message()), StartsWith("RROUnsupported: "));
  mount->set_readonly(true);
  EXPECT_TRUE(CheckContainerConfig(config).ok());
  mount->set_propagation(runtime::v1::PROPAGATION_BIDIRECTIONAL);
  EXPECT_THAT(std::string(CheckContainerConfig(config).message()), StartsWith("RROUnsupported: "));
}

TEST(CheckContainerConfigTest, WhatIsNotServedIsRefusedNotIgnored) {
  ContainerConfig config = Minimal();
  runtime::v1::Mount* mount = config.add_mounts();
  mount->set_container_path("/x");
  mount->mutable_image()->set_image("busybox");
  EXPECT_EQ(CheckContainerConfig(config).code(), absl::StatusCode::kUnimplemented);
}

TEST(LogPathTest, IsBelowThePodsDirectory) {
  runtime::v1::PodSandboxConfig pod;
  ContainerConfig config;
  EXPECT_EQ(*LogPathOf(pod, config), "");
  config.set_log_path("c/0.log");
  EXPECT_EQ(*LogPathOf(pod, config), "");
  pod.set_log_directory("/var/log/pods/x");
  EXPECT_EQ(*LogPathOf(pod, config), "/var/log/pods/x/c/0.log");
}

TEST(StopSignalTest, ConfigBeforeImageBeforeTerm) {
  ContainerConfig config;
  EXPECT_EQ(*StopSignalOf(config, ""), SIGTERM);
  EXPECT_EQ(*StopSignalOf(config, "SIGQUIT"), SIGQUIT);
  EXPECT_EQ(*StopSignalOf(config, "QUIT"), SIGQUIT);
  EXPECT_EQ(*StopSignalOf(config, "3"), SIGQUIT);
  EXPECT_EQ(*StopSignalOf(config, "SIGRTMIN+3"), SIGRTMIN + 3);
  config.set_stop_signal(runtime::v1::SIGNAL_SIGUSR1);
  EXPECT_EQ(*StopSignalOf(config, "SIGQUIT"), SIGUSR1);
  for (const char* bad : {"SIGNOTHING", "0", "65", "-1", "SIGRTMIN+99", "SIGRTMIN-1"}) {
    config.clear_stop_signal();
    EXPECT_FALSE(StopSignalOf(config, bad).ok()) << bad;
  }
}

TEST(StopSignalTest, EverySignalOfCriHasANumberAndComesBack) {
  for (int value = runtime::v1::Signal_MIN; value <= runtime::v1::Signal_MAX; ++value) {
    ContainerConfig config;
    config.set_stop_signal(static_cast<runtime::v1::Signal>(value));
    const auto number = StopSignalOf(config, "");
    ASSERT_TRUE(number.ok()) << value << number.status();
    config.set_stop_signal(CriSignal(*number));
    EXPECT_EQ(*StopSignalOf(config, ""), *number) << runtime::v1::Signal_Name(static_cast<runtime::v1::Signal>(value));
  }
}

}  // namespace
}  // namespace berth
