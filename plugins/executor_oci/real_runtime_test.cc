// The runtimes of this machine: what they say about themselves and about containers they do not know.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "plugins/executor_oci/cli_executor.h"
#include "plugins/executor_oci/direct_runner.h"

namespace berth::executor_oci {
namespace {

class RealRuntimeTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (access(GetParam(), X_OK) != 0) GTEST_SKIP() << GetParam() << " is not installed";
    path_ = testing::TempDir() + "runtime-XXXXXX";
    ASSERT_NE(mkdtemp(path_.data()), nullptr);
    auto opened = CliExecutor::Open(Settings{GetParam(), path_ + "/root", {}, 20}, std::make_unique<DirectRunner>());
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    executor_ = *std::move(opened);
    request_ = {"unknown", "p1", path_, path_ + "/pid", ""};
  }
  void TearDown() override {
    if (!path_.empty()) std::filesystem::remove_all(path_);
  }

  std::string path_;
  std::unique_ptr<CliExecutor> executor_;
  sdk::ContainerRequest request_;
  const sdk::Call call_;
};

TEST_P(RealRuntimeTest, TellsWhatItIs) {
  const auto features = executor_->Features(call_);
  ASSERT_TRUE(features.ok()) << features.status().message();
  EXPECT_NE(std::string(GetParam()).find((*features).name), std::string::npos) << (*features).name;
  EXPECT_FALSE((*features).version.empty());
  EXPECT_EQ((*features).oci_version_max.substr(0, 2), "1.");
}

TEST_P(RealRuntimeTest, UnknownContainersAreNotFound) {
  EXPECT_EQ(executor_->State(call_, request_).status().code(), sdk::Code::kNotFound);
  const sdk::Status started = executor_->Start(call_, request_);
  EXPECT_EQ(started.code(), sdk::Code::kNotFound) << started.message();
  EXPECT_EQ(executor_->Pause(call_, request_).code(), sdk::Code::kNotFound);
  EXPECT_EQ(executor_->Resume(call_, request_).code(), sdk::Code::kNotFound);
  EXPECT_EQ(executor_->Update(call_, request_, R"({"memory":{"limit":100000000}})").code(), sdk::Code::kNotFound);
  std::ofstream(path_ + "/process.json") << R"({"user":{"uid":0,"gid":0},"args":["true"],"cwd":"/"})";
  const auto exec = executor_->Exec(call_, {"unknown", "e1", "p1", path_ + "/process.json", path_ + "/pid", ""});
  EXPECT_EQ(exec.status().code(), sdk::Code::kNotFound) << exec.status().message();
}

TEST_P(RealRuntimeTest, WhatIsGoneMayBeKilledAndDeleted) {
  for (bool all : {false, true}) {
    const sdk::Status killed = executor_->Kill(call_, request_, 9, all);
    EXPECT_TRUE(killed.ok()) << killed.message();
  }
  EXPECT_TRUE(executor_->Delete(call_, request_).ok());
  EXPECT_TRUE(executor_->Delete(call_, request_).ok());
}

TEST_P(RealRuntimeTest, ABrokenBundleIsAnErrorWithItsReason) {
  std::ofstream(path_ + "/config.json") << "{";
  const auto pid = executor_->Create(call_, request_);
  ASSERT_FALSE(pid.ok());
  EXPECT_EQ(pid.status().message().find("without a message"), std::string::npos) << pid.status().message();
  EXPECT_FALSE(std::filesystem::exists(path_ + "/root/unknown"));
}

INSTANTIATE_TEST_SUITE_P(Runtimes, RealRuntimeTest, testing::Values("/usr/bin/crun", "/usr/sbin/runc"),
                         [](const auto& info) { return std::filesystem::path(info.param).filename().string(); });

}  // namespace
}  // namespace berth::executor_oci
