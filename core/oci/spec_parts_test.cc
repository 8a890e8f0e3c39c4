// The parts of a runtime spec one by one: capabilities, resources, mounts, seccomp, command lines, exec processes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "core/oci/capabilities.h"
#include "core/oci/json.h"
#include "core/oci/process.h"
#include "core/oci/process_spec.h"
#include "core/oci/resources.h"
#include "core/oci/seccomp.h"
#include "core/oci/volume_mount.h"

namespace berth::oci {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(Capabilities, Default) {
  const auto sets = ResolveCapabilities({}, false, ~0ull);
  ASSERT_TRUE(sets.ok());
  EXPECT_EQ(CapabilityNames(sets->bounding).size(), 14u);
  EXPECT_EQ(sets->ambient, 0u);
  EXPECT_EQ(ResolveCapabilities({}, false, CapabilityBit("KILL"))->bounding, CapabilityBit("CAP_KILL"));
}

TEST(Capabilities, AddAndDrop) {
  runtime::v1::Capability wanted;
  wanted.add_add_capabilities("net_admin");
  wanted.add_drop_capabilities("CAP_KILL");
  const uint64_t set = ResolveCapabilities(wanted, false, ~0ull)->bounding;
  EXPECT_THAT(CapabilityNames(set), Contains("CAP_NET_ADMIN"));
  EXPECT_THAT(CapabilityNames(set), Not(Contains("CAP_KILL")));
  wanted.add_drop_capabilities("ALL");
  EXPECT_THAT(CapabilityNames(ResolveCapabilities(wanted, false, ~0ull)->bounding), ElementsAre("CAP_NET_ADMIN"));
  wanted.clear_drop_capabilities();
  wanted.add_add_capabilities("all");
  EXPECT_EQ(CapabilityNames(ResolveCapabilities(wanted, false, ~0ull)->bounding).size(), 41u);
  EXPECT_EQ(CapabilityNames(ResolveCapabilities({}, true, ~0ull)->bounding).size(), 41u);
}

TEST(Capabilities, Ambient) {
  runtime::v1::Capability wanted;
  wanted.add_add_ambient_capabilities("CAP_NET_ADMIN");
  const auto sets = ResolveCapabilities(wanted, false, ~0ull);
  EXPECT_EQ(sets->ambient, CapabilityBit("NET_ADMIN"));
  EXPECT_TRUE(sets->bounding & CapabilityBit("NET_ADMIN"));
}

TEST(Capabilities, UnknownAndMissing) {
  runtime::v1::Capability wanted;
  wanted.add_add_capabilities("CAP_FLY");
  EXPECT_EQ(ResolveCapabilities(wanted, false, ~0ull).status().code(), absl::StatusCode::kInvalidArgument);
  wanted.set_add_capabilities(0, "SYS_TIME");
  EXPECT_EQ(ResolveCapabilities(wanted, false, 1).status().code(), absl::StatusCode::kFailedPrecondition);
  wanted.clear_add_capabilities();
  wanted.add_drop_capabilities(std::string(1 << 20, 'x'));
  EXPECT_LT(ResolveCapabilities(wanted, false, 1).status().message().size(), 500u);
}

TEST(Resources, SwapRule) {
  runtime::v1::LinuxContainerResources r;
  EXPECT_EQ(ResourcesJson(r, {})->dump(), "{}");
  r.set_memory_limit_in_bytes(1000);
  EXPECT_EQ(ResourcesJson(r, {})->dump(), R"({"memory":{"limit":1000,"swap":1000}})");
  EXPECT_EQ(ResourcesJson(r, {.swap = false})->dump(), R"({"memory":{"limit":1000}})");
  r.set_memory_swap_limit_in_bytes(1500);
  EXPECT_EQ(ResourcesJson(r, {})->dump(), R"({"memory":{"limit":1000,"swap":1500}})");
  r.set_memory_swap_limit_in_bytes(-1);
  EXPECT_EQ(ResourcesJson(r, {})->dump(), R"({"memory":{"limit":1000,"swap":-1}})");
  r.set_memory_swap_limit_in_bytes(-2);
  EXPECT_EQ(ResourcesJson(r, {}).status().code(), absl::StatusCode::kInvalidArgument);
  runtime::v1::LinuxContainerResources alone;
  alone.set_memory_swap_limit_in_bytes(1000);
  EXPECT_EQ(ResourcesJson(alone, {}).status().code(), absl::StatusCode::kInvalidArgument);
  r.set_memory_swap_limit_in_bytes(900);
  EXPECT_EQ(ResourcesJson(r, {}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Resources, EveryController) {
  runtime::v1::LinuxContainerResources r;
  r.set_cpu_shares(512);
  r.set_cpu_quota(-1);
  r.set_cpu_period(100000);
  r.set_cpuset_cpus("0-1");
  r.set_cpuset_mems("0");
  runtime::v1::HugepageLimit* limit = r.add_hugepage_limits();
  limit->set_page_size("2MB");
  limit->set_limit(4096);
  (*r.mutable_unified())["pids.max"] = "10";
  EXPECT_EQ(ResourcesJson(r, {})->dump(),
            R"({"cpu":{"cpus":"0-1","mems":"0","period":100000,"quota":-1,"shares":512},)"
            R"("hugepageLimits":[{"limit":4096,"pageSize":"2MB"}],"unified":{"pids.max":"10"}})");
  r.clear_unified();
  EXPECT_FALSE(ResourcesJson(r, {.version = 1})->at("cpu").contains("quota"));
  (*r.mutable_unified())["pids.max"] = "10";
  EXPECT_FALSE(ResourcesJson(r, {.hugetlb = false})->contains("hugepageLimits"));
  for (const char* bad : {"", "2", "MB", "2mb", "2MB/../x", "../../2MB", "0x2MB", "1234567KB"}) {
    runtime::v1::LinuxContainerResources hostile;
    hostile.add_hugepage_limits()->set_page_size(bad);
    EXPECT_EQ(ResourcesJson(hostile, {.hugetlb = false}).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  for (const char* bad : {"0-1\n2", "a", "0 1", "0x1"}) {
    runtime::v1::LinuxContainerResources hostile;
    hostile.set_cpuset_cpus(bad);
    EXPECT_EQ(ResourcesJson(hostile, {}).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_EQ(ResourcesJson(r, {.version = 1}).status().code(), absl::StatusCode::kInvalidArgument);
  for (const char* bad : {"../x.y", "cgroup.procs", "cgroup.kill", "nodot", ""}) {
    runtime::v1::LinuxContainerResources hostile;
    (*hostile.mutable_unified())[bad] = "1";
    EXPECT_FALSE(ResourcesJson(hostile, {}).ok()) << bad;
  }
}

TEST(Resources, Merge) {
  runtime::v1::LinuxContainerResources current, update;
  current.set_cpu_shares(100);
  current.set_memory_limit_in_bytes(1000);
  current.set_memory_swap_limit_in_bytes(1000);
  update.set_memory_limit_in_bytes(2000);
  const auto merged = MergeResources(current, update);
  EXPECT_EQ(merged.cpu_shares(), 100);
  EXPECT_EQ(merged.memory_limit_in_bytes(), 2000);
  EXPECT_TRUE(ResourcesJson(merged, {}).ok());
}

runtime::v1::Mount VolumeAt(const std::string& place) {
  runtime::v1::Mount mount;
  mount.set_container_path(place);
  mount.set_host_path("/src");
  return mount;
}

TEST(VolumeMount, IsNormalised) {
  EXPECT_EQ(CheckVolumeMount(VolumeAt("//data/./x/"), "/src", false)->destination, "/data/x");
  for (const char* bad : {"", "/", "//.", "data", "/a/../b"}) {
    EXPECT_EQ(CheckVolumeMount(VolumeAt(bad), "/src", false).status().code(), absl::StatusCode::kInvalidArgument)
        << bad;
  }
  EXPECT_FALSE(CheckVolumeMount(VolumeAt("/a"), "src", false).ok());
}

TEST(VolumeMount, RecursiveReadOnly) {
  runtime::v1::Mount mount = VolumeAt("/a");
  mount.set_recursive_read_only(true);
  EXPECT_THAT(std::string(CheckVolumeMount(mount, "/src", true).status().message()), StartsWith("RROUnsupported"));
  mount.set_readonly(true);
  EXPECT_TRUE(CheckVolumeMount(mount, "/src", true).ok());
  EXPECT_FALSE(CheckVolumeMount(mount, "/src", false).ok());
  mount.set_propagation(runtime::v1::PROPAGATION_HOST_TO_CONTAINER);
  EXPECT_FALSE(CheckVolumeMount(mount, "/src", true).ok());
}

TEST(VolumeMount, OptionsAndMappings) {
  runtime::v1::Mount mount = VolumeAt("/a");
  mount.add_mount_options("noexec");
  EXPECT_THAT(CheckVolumeMount(mount, "/src", false)->options, ElementsAre("noexec"));
  mount.add_mount_options("rshared");
  EXPECT_FALSE(CheckVolumeMount(mount, "/src", false).ok());
  mount.clear_mount_options();
  EXPECT_FALSE(CheckVolumeMount(mount, "/src", false)->id_mapped);
  mount.add_uidmappings();
  EXPECT_TRUE(CheckVolumeMount(mount, "/src", false)->id_mapped);
}

TEST(CommandLine, RulesOfCri) {
  const ContainerDefaults image{.entrypoint = {"/entry", "e"}, .cmd = {"c"}};
  runtime::v1::ContainerConfig config;
  EXPECT_THAT(*CommandLine(config, image), ElementsAre("/entry", "e", "c"));
  config.add_args("a");
  EXPECT_THAT(*CommandLine(config, image), ElementsAre("/entry", "e", "a"));
  config.add_command("/cmd");
  EXPECT_THAT(*CommandLine(config, image), ElementsAre("/cmd", "a"));
  config.clear_args();
  EXPECT_THAT(*CommandLine(config, image), ElementsAre("/cmd"));
  EXPECT_THAT(std::string(CommandLine({}, {}).status().message()), StartsWith("no command specified"));
  config.set_command(0, std::string("a\0b", 3));
  EXPECT_EQ(CommandLine(config, image).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ExecProcess, TakesTheContainersProcess) {
  const std::string spec = R"({"process":{"args":["x"],"cwd":"/srv","env":["A=b"],"user":{"uid":5},"terminal":true}})";
  const auto plain = ParseJson(ExecProcess(spec, {"ls", "-l"}, false).value(), "process");
  EXPECT_EQ(plain->dump(), R"({"args":["ls","-l"],"cwd":"/srv","env":["A=b"],"terminal":false,"user":{"uid":5}})");
  const auto terminal = ParseJson(ExecProcess(spec, {"sh"}, true).value(), "process");
  EXPECT_THAT(terminal->at("env").get<std::vector<std::string>>(), Contains("TERM=xterm"));
  EXPECT_EQ(ExecProcess(spec, {}, false).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ExecProcess(spec, {std::string("a\0", 2)}, false).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(ExecProcess("{}", {"ls"}, false).ok());
  EXPECT_FALSE(ExecProcess(R"({"process":{"env":5}})", {"ls"}, true).ok());
}

runtime::v1::ContainerConfig WithProfile(const std::string& path) {
  runtime::v1::ContainerConfig config;
  auto* profile = config.mutable_linux()->mutable_security_context()->mutable_seccomp();
  profile->set_profile_type(runtime::v1::SecurityProfile::Localhost);
  profile->set_localhost_ref(path);
  return config;
}

TEST(Seccomp, Localhost) {
  HostInputs host;
  host.seccomp_profile =
      R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_KILL"}]})";
  EXPECT_EQ(SeccompJson(WithProfile("/p.json"), host)->at("syscalls").size(), 1u);
  EXPECT_FALSE(SeccompJson(WithProfile("p.json"), host).ok());
  EXPECT_FALSE(SeccompJson(WithProfile("/../p.json"), host).ok());
  for (const char* bad :
       {"", "[]", "{}", R"({"defaultAction":1})", R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{}]})",
        R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":{}})",
        R"({"defaultAction":"SCMP_ACT_NOTIFY","listenerPath":"/x"})"}) {
    host.seccomp_profile = bad;
    EXPECT_EQ(SeccompJson(WithProfile("/p.json"), host).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST(Seccomp, DefaultGrowsWithCapabilities) {
  const std::string plain = DefaultSeccompProfile(0, "amd64").dump();
  EXPECT_THAT(plain, Not(HasSubstr("\"mount\"")));
  EXPECT_THAT(plain, Not(HasSubstr("\"unshare\"")));
  EXPECT_THAT(plain, HasSubstr("\"arch_prctl\""));
  EXPECT_THAT(plain, HasSubstr("SCMP_CMP_MASKED_EQ"));
  const std::string admin = DefaultSeccompProfile(CapabilityBit("SYS_ADMIN"), "arm64").dump();
  EXPECT_THAT(admin, HasSubstr("\"mount\""));
  EXPECT_THAT(admin, Not(HasSubstr("SCMP_CMP_MASKED_EQ")));
  EXPECT_THAT(admin, HasSubstr("SCMP_ARCH_AARCH64"));
}

}  // namespace
}  // namespace berth::oci
