// The file executor_oci.so, loaded as the daemon loads it: configuration, and the way through the C ABI.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/plugin/conformance/plugin_under_test.h"

namespace berth {
namespace {

// Answers every command with one result.
class OneAnswer : public SupervisorService {
 public:
  absl::StatusOr<SupervisedResult> Run(const Call&, const SupervisedCommand& command) override {
    asked.push_back(command);
    return answer;
  }
  SupervisedResult answer;
  std::vector<SupervisedCommand> asked;
};

class ExecutorPluginTest : public testing::Test {
 protected:
  ExecutorPluginTest() : plugin_("plugins/executor_oci/executor_oci.so", &supervisor_) {
    binary_ = plugin_.scratch() + "/fakerun";
    std::ofstream(binary_) << "#!/bin/sh\n"
                              "[ \"$*\" = --version ] || [ \"$3\" = --version ] || exit 1\n"
                              "echo fakerun version 7.1; echo spec: 1.0.2\n";
    EXPECT_EQ(chmod(binary_.c_str(), 0755), 0);
  }

  ConfigValue::Table Config() const {
    ConfigValue::Table config;
    config["binary"].value = binary_;
    return config;
  }
  absl::StatusOr<std::unique_ptr<OciExecutor>> Make(const ConfigValue::Table& config) {
    return plugin_.plugins().MakeOciExecutor(plugin_.name(), config, "fake");
  }
  void ExpectRefused(const ConfigValue::Table& config, absl::StatusCode code, const std::string& because) {
    const absl::Status status = Make(config).status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_NE(status.message().find(because), absl::string_view::npos) << status;
  }

  OneAnswer supervisor_;
  PluginUnderTest plugin_;
  std::string binary_;
};

TEST_F(ExecutorPluginTest, CommandsGoThroughTheSupervisor) {
  auto executor = Make(Config());
  ASSERT_TRUE(executor.ok()) << executor.status();
  EXPECT_EQ((*executor)->capabilities(), uint64_t{kSupervised});
  supervisor_.answer.pid = 42;
  const ContainerRequest request{"c1", "p1", plugin_.scratch(), plugin_.scratch() + "/pid", ""};
  const auto pid = (*executor)->Create(Call(), request, nullptr);
  ASSERT_TRUE(pid.ok()) << pid.status();
  EXPECT_EQ(*pid, 42);
  ASSERT_EQ(supervisor_.asked.size(), 1u);
  EXPECT_EQ(supervisor_.asked[0].purpose, SupervisedCommand::Purpose::kCreate);
  const std::vector<std::string> begin(supervisor_.asked[0].argv.begin(), supervisor_.asked[0].argv.begin() + 4);
  EXPECT_EQ(begin, (std::vector<std::string>{binary_, "--root", plugin_.scratch() + "/run/executor/fake", "create"}));

  supervisor_.answer = {1 << 8, 0, "", "container `c1` is not running\n"};
  const absl::Status started = (*executor)->Start(Call(), request);
  EXPECT_EQ(started.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(started.message(), "fake: start c1: container `c1` is not running");
}

TEST_F(ExecutorPluginTest, FeaturesNeedNoPod) {
  auto executor = Make(Config());
  ASSERT_TRUE(executor.ok()) << executor.status();
  const auto features = (*executor)->Features(Call());
  ASSERT_TRUE(features.ok()) << features.status();
  EXPECT_EQ(features->name, "fakerun");
  EXPECT_EQ(features->version, "7.1");
  EXPECT_EQ(features->oci_version_max, "1.0.2");
  EXPECT_EQ(features->json, "");
  EXPECT_TRUE(supervisor_.asked.empty());
}

TEST_F(ExecutorPluginTest, WrongConfigurationIsNamed) {
  auto config = Config();
  config["binary"].value = std::string("/nonexistent/crun");
  ExpectRefused(config, absl::StatusCode::kFailedPrecondition, "binary = \"/nonexistent/crun\"");
  config["binary"].value = std::string("no-such-runtime");
  ExpectRefused(config, absl::StatusCode::kFailedPrecondition, "no-such-runtime");
  config["binary"].value = std::string("bin/crun");
  ExpectRefused(config, absl::StatusCode::kInvalidArgument, "fake.binary");
  config = Config();
  config["cgroup_driver"].value = std::string("cgroups");
  ExpectRefused(config, absl::StatusCode::kInvalidArgument, "cgroup_driver");
  config = Config();
  config["args"].value = ConfigValue::Array{{std::string("--systemd-cgroup")}};
  ExpectRefused(config, absl::StatusCode::kInvalidArgument, "set cgroup_driver = \"systemd\"");
  config = Config();
  config["timeout_seconds"].value = int64_t{0};
  ExpectRefused(config, absl::StatusCode::kInvalidArgument, "timeout_seconds");
}

TEST_F(ExecutorPluginTest, SystemdIsAskedForCgroupsWhereItRuns) {
  auto config = Config();
  config["cgroup_driver"].value = std::string("systemd");
  if (access("/run/systemd/system", F_OK) != 0) {
    return ExpectRefused(config, absl::StatusCode::kInvalidArgument, "systemd does not run on this machine");
  }
  auto executor = Make(config);
  ASSERT_TRUE(executor.ok()) << executor.status();
  EXPECT_TRUE((*executor)->Start(Call(), {"c1", "p1", plugin_.scratch(), plugin_.scratch() + "/pid", ""}).ok());
  EXPECT_EQ(supervisor_.asked.at(0).argv.at(3), "--systemd-cgroup");
}

TEST_F(ExecutorPluginTest, ABareNameIsLookedUp) {
  ConfigValue::Table config;
  config["binary"].value = std::string("sh");
  const auto executor = Make(config);
  EXPECT_TRUE(executor.ok()) << executor.status();
}

TEST_F(ExecutorPluginTest, UnknownConfigurationIsReported) {
  ExpectUnknownKeyReported(
      plugin_, [this](const std::string&) { return Config(); },
      [this](const ConfigValue::Table& config) {
        return plugin_.plugins().MakeOciExecutor(plugin_.name(), config).status();
      });
}

}  // namespace
}  // namespace berth
