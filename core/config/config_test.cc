#include "core/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth {
namespace {

using ::testing::HasSubstr;

TEST(ConfigTest, AnEmptyFileIsTheDefaults) {
  auto config = ParseConfig("", "t.toml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->grpc.socket, "/run/berth/berth.sock");
  EXPECT_EQ(*config->runtime.handlers.at("runc").options.at("binary").As<std::string>(), "/usr/sbin/runc");
}

TEST(ConfigTest, TheDefaultTextSaysWhatTheDefaultsAre) {
  auto shown = ParseConfig(DefaultConfigText(), "default");
  ASSERT_TRUE(shown.ok()) << shown.status();
  const auto real = *ParseConfig("", "t.toml");
  EXPECT_EQ(shown->root, real.root);
  EXPECT_EQ(shown->state, real.state);
  EXPECT_EQ(shown->grpc.socket, real.grpc.socket);
  EXPECT_EQ(shown->grpc.max_message_bytes, real.grpc.max_message_bytes);
  EXPECT_EQ(shown->grpc.connection_age_seconds, real.grpc.connection_age_seconds);
  EXPECT_EQ(shown->admin.socket, real.admin.socket);
  EXPECT_EQ(shown->log.level, real.log.level);
  EXPECT_EQ(shown->plugins.directories, real.plugins.directories);
  EXPECT_EQ(shown->image.registries, real.image.registries);
  EXPECT_EQ(shown->image.max_layer_bytes, real.image.max_layer_bytes);
  EXPECT_EQ(shown->image.max_parallel_layers, real.image.max_parallel_layers);
  EXPECT_EQ(shown->image.pull_timeout_seconds, real.image.pull_timeout_seconds);
  EXPECT_EQ(shown->network.hooks, real.network.hooks);
  EXPECT_EQ(shown->network.timeout_seconds, real.network.timeout_seconds);
  EXPECT_EQ(shown->pod.cgroup_parent, real.pod.cgroup_parent);
  EXPECT_EQ(shown->pod.shm_bytes, real.pod.shm_bytes);
  EXPECT_EQ(shown->pod.supervisor_timeout_seconds, real.pod.supervisor_timeout_seconds);
  EXPECT_EQ(shown->pod.spare_supervisor, real.pod.spare_supervisor);
  EXPECT_EQ(shown->pod.enable_selinux, real.pod.enable_selinux);
  EXPECT_EQ(shown->container.executor_timeout_seconds, real.container.executor_timeout_seconds);
  EXPECT_EQ(shown->container.exec_sync_output_bytes, real.container.exec_sync_output_bytes);
  EXPECT_EQ(shown->daemon.worker_threads, real.daemon.worker_threads);
  EXPECT_EQ(shown->daemon.exec_threads, real.daemon.exec_threads);
  EXPECT_EQ(shown->daemon.exec_waiting, real.daemon.exec_waiting);
  EXPECT_EQ(shown->runtime.default_handler, real.runtime.default_handler);
  EXPECT_EQ(shown->runtime.handlers.size(), real.runtime.handlers.size());
}

TEST(ConfigTest, FaultsNameFileLineAndKey) {
  const auto status = ParseConfig("root = \"relative\"\n[grpc]\nsocket = 3\nsokcet = \"x\"\n[log]\nlevel = \"loud\"\n",
                                  "etc/berth.toml")
                          .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("etc/berth.toml:1: root: expected an absolute path"));
  EXPECT_THAT(status.message(), HasSubstr("etc/berth.toml:3: grpc.socket: expected a string, found an integer"));
  EXPECT_THAT(status.message(), HasSubstr("etc/berth.toml:4: grpc.sokcet: unknown key"));
  EXPECT_THAT(status.message(), HasSubstr("log.level: loud is none of"));
}

TEST(ConfigTest, RangesAreChecked) {
  EXPECT_THAT(ParseConfig("[daemon]\nworker_threads = 0", "t").status().message(),
              HasSubstr("t:2: daemon.worker_threads: 0 is not between 2 and 1024"));
}

TEST(ConfigTest, Booleans) {
  EXPECT_FALSE(ParseConfig("", "t")->pod.enable_selinux);
  EXPECT_TRUE(ParseConfig("[pod]\nenable_selinux = true", "t")->pod.enable_selinux);
  EXPECT_THAT(ParseConfig("[pod]\nenable_selinux = 1", "t").status().message(),
              HasSubstr("t:2: pod.enable_selinux: expected a boolean, found an integer"));
}

TEST(ConfigTest, SyntaxErrorsNameTheLine) {
  EXPECT_THAT(ParseConfig("root = \"/x\"\nstate = = 3\n", "t").status().message(), HasSubstr("t:2: not TOML"));
}

TEST(ConfigTest, WhatIsNotUtf8NamesTheLine) {
  EXPECT_THAT(ParseConfig("# fine\n# \xff\n", "t").status().message(), HasSubstr("t:2: not UTF-8"));
  EXPECT_THAT(ParseConfig("root = \"/a\xe2\x82\"\n", "t").status().message(), HasSubstr("t:1: not UTF-8"));
  EXPECT_TRUE(ParseConfig("root = \"/\xe2\x82\xac\"\n", "t").ok());
}

TEST(ConfigTest, PluginTablesKeepEveryType) {
  auto config = ParseConfig(
      "[plugin.p]\nb = true\ni = 7\nd = 1.5\ns = \"x\"\na = [1, 2]\n[plugin.p.t]\ninner = \"y\"\n"
      "[runtime.handlers.crun]\nbinary = \"/b\"\nextra = [\"--debug\"]\n",
      "t");
  ASSERT_TRUE(config.ok()) << config.status();
  const ConfigValue::Table& p = config->plugin.at("p");
  EXPECT_TRUE(*p.at("b").As<bool>());
  EXPECT_EQ(*p.at("i").As<int64_t>(), 7);
  EXPECT_EQ(*p.at("d").As<double>(), 1.5);
  EXPECT_EQ(p.at("a").As<ConfigValue::Array>()->size(), 2u);
  EXPECT_EQ(*p.at("t").As<ConfigValue::Table>()->at("inner").As<std::string>(), "y");
  EXPECT_EQ(config->runtime.handlers.size(), 1u);
  EXPECT_EQ(config->runtime.handlers.at("crun").options.count("extra"), 1u);
}

TEST(ConfigTest, DatesArePluginErrors) {
  EXPECT_THAT(ParseConfig("[plugin.p]\nd = 2024-01-01\n", "t").status().message(), HasSubstr("write it as a string"));
}

TEST(ConfigTest, AnUnknownDefaultHandlerIsRefused) {
  EXPECT_THAT(ParseConfig("[runtime]\ndefault_handler = \"kata\"", "t").status().message(),
              HasSubstr("no [runtime.handlers.kata]"));
}

TEST(ConfigTest, CgroupDriverIsOneOfTwo) {
  EXPECT_EQ(ParseConfig("", "t")->runtime.cgroup_driver, CgroupDriver::kCgroupfs);
  EXPECT_EQ(ParseConfig("[runtime]\ncgroup_driver = \"systemd\"", "t")->runtime.cgroup_driver, CgroupDriver::kSystemd);
  EXPECT_THAT(ParseConfig("[runtime]\ncgroup_driver = \"cgroups\"", "t").status().message(),
              HasSubstr("t:2: runtime.cgroup_driver: cgroups is none of cgroupfs, systemd"));
}

TEST(ConfigTest, DeepNestingIsRefusedBeforeParsing) {
  EXPECT_THAT(ParseConfig("a = " + std::string(100000, '['), "t").status().message(), HasSubstr("nested deeper"));
}

}  // namespace
}  // namespace berth
