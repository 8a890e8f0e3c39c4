#include "core/pod/pod_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/pod/pod_files.h"

namespace berth {
namespace {

using runtime::v1::NamespaceMode;
using runtime::v1::PodSandboxConfig;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

PodSandboxConfig Minimal() {
  PodSandboxConfig config;
  config.mutable_metadata()->set_name("web");
  config.mutable_metadata()->set_namespace_("default");
  config.mutable_metadata()->set_uid("u-1");
  return config;
}

TEST(CheckPodConfigTest, TakesAMinimalPod) { EXPECT_TRUE(CheckPodConfig(Minimal()).ok()); }

TEST(CheckPodConfigTest, NamesWhatIsWrong) {
  const auto fails = [](auto&& change, const std::string& with) {
    PodSandboxConfig config = Minimal();
    change(config);
    const absl::Status status = CheckPodConfig(config);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << with;
    EXPECT_THAT(status.message(), HasSubstr(with));
  };
  fails([](auto& c) { c.clear_metadata(); }, "no metadata");
  fails([](auto& c) { c.mutable_metadata()->clear_name(); }, "metadata.name is empty");
  fails([](auto& c) { c.mutable_metadata()->set_uid(std::string(2000, 'x')); }, "metadata.uid has 2000 bytes");
  fails([](auto& c) { c.mutable_metadata()->set_name(std::string("a\0b", 3)); }, "NUL");
  fails([](auto& c) { c.set_hostname(std::string(65, 'h')); }, "hostname");
  fails([](auto& c) { c.set_hostname("a b"); }, "hostname");
  fails([](auto& c) { c.set_log_directory("relative"); }, "log_directory is not absolute");
  fails([](auto& c) { c.set_log_directory("/var/../etc"); }, "..");
  fails([](auto& c) { c.mutable_dns_config()->add_servers("1.1.1.1\nnameserver 6.6.6.6"); }, "dns_config.servers");
  fails([](auto& c) { c.add_port_mappings()->set_host_port(70000); }, "not both ports");
  fails([](auto& c) { c.add_port_mappings()->set_host_port(80); }, "host port 80 has no container port");
  fails([](auto& c) { c.add_port_mappings()->set_host_ip("localhost"); }, "host_ip");
  fails([](auto& c) { c.mutable_linux()->mutable_security_context()->mutable_run_as_group()->set_value(5); },
        "without run_as_user");
  fails([](auto& c) { c.mutable_linux()->mutable_security_context()->mutable_selinux_options()->set_level("c1"); },
        "selinux_options: level");
  fails(
      [](auto& c) {
        c.mutable_linux()->mutable_security_context()->set_supplemental_groups_policy(
            static_cast<runtime::v1::SupplementalGroupsPolicy>(7));
      },
      "supplemental_groups_policy");
  fails(
      [](auto& c) {
        c.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_network(
            NamespaceMode::CONTAINER);
      },
      "network of a pod");
}

void AddUserNamespace(PodSandboxConfig& config) {
  auto* options = config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
  for (auto* line : {options->mutable_userns_options()->add_uids(), options->mutable_userns_options()->add_gids()}) {
    line->set_host_id(100000);
    line->set_length(65536);
  }
}

TEST(CheckPodConfigTest, UserNamespaces) {
  PodSandboxConfig config = Minimal();
  AddUserNamespace(config);
  EXPECT_TRUE(CheckPodConfig(config).ok()) << CheckPodConfig(config);
  auto* options = config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
  options->set_network(NamespaceMode::NODE);
  EXPECT_EQ(CheckPodConfig(config).code(), absl::StatusCode::kUnimplemented);
  options->set_pid(NamespaceMode::NODE);
  EXPECT_EQ(CheckPodConfig(config).code(), absl::StatusCode::kInvalidArgument);
  options->set_pid(NamespaceMode::POD);
  options->mutable_userns_options()->set_mode(NamespaceMode::CONTAINER);
  EXPECT_EQ(CheckPodConfig(config).code(), absl::StatusCode::kInvalidArgument);
}

TEST(MakePodSpecTest, AUserNamespaceHasAPlaceAndItsMaps) {
  PodSandboxConfig config = Minimal();
  EXPECT_EQ(MakePodSpec("abc", config, PodPaths("/run/berth", "abc"), 1 << 20).user_ns_path, "");
  AddUserNamespace(config);
  const PodSpec spec = MakePodSpec("abc", config, PodPaths("/run/berth", "abc"), 1 << 20);
  EXPECT_EQ(spec.user_ns_path, "/run/berth/ns/abc/user");
  ASSERT_EQ(spec.uid_map.size(), 1u);
  EXPECT_EQ(spec.uid_map[0].host, 100000u);
  EXPECT_EQ(spec.gid_map[0].count, 65536u);
  EXPECT_THAT(spec.sysctls, Contains(Pair("net.ipv4.ping_group_range", "0 65535"))) << "others have no number inside";
}

TEST(PodNameKeyTest, PartsCannotRunIntoEachOther) {
  runtime::v1::PodSandboxMetadata a, b;
  a.set_name("x");
  a.set_namespace_("y1");
  b.set_name("xy");
  b.set_namespace_("1");
  EXPECT_NE(PodNameKey(a), PodNameKey(b));
  b = a;
  EXPECT_EQ(PodNameKey(a), PodNameKey(b));
  b.set_attempt(1);
  EXPECT_NE(PodNameKey(a), PodNameKey(b));
}

TEST(MakePodSpecTest, APodHasItsOwnNetworkNameAndSysctls) {
  PodSandboxConfig config = Minimal();
  config.set_hostname("web-0");
  (*config.mutable_linux()->mutable_sysctls())["net.ipv4.ip_unprivileged_port_start"] = "1024";
  const PodSpec spec = MakePodSpec("abc", config, PodPaths("/run/berth", "abc"), 1 << 20);
  EXPECT_TRUE(spec.new_network && spec.new_ipc && spec.new_uts && spec.shared_pid);
  EXPECT_EQ(spec.hostname, "web-0");
  EXPECT_EQ(spec.netns_pin, "/run/netns/berth-abc");
  EXPECT_EQ(spec.shm_path, "/run/berth/pods/abc/shm");
  EXPECT_THAT(spec.sysctls, Contains(Pair("net.ipv4.ip_unprivileged_port_start", "1024")));
  EXPECT_THAT(spec.sysctls, ::testing::Not(Contains(Pair("net.ipv4.ip_unprivileged_port_start", "0"))));
}

TEST(MakePodSpecTest, APodInTheHostsNetworkTouchesNothingOfIt) {
  PodSandboxConfig config = Minimal();
  auto* options = config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
  options->set_network(NamespaceMode::NODE);
  options->set_ipc(NamespaceMode::NODE);
  options->set_pid(NamespaceMode::CONTAINER);
  const PodSpec spec = MakePodSpec("abc", config, PodPaths("/run/berth", "abc"), 1 << 20);
  EXPECT_FALSE(spec.new_network || spec.new_ipc || spec.new_uts || spec.shared_pid);
  EXPECT_EQ(spec.netns_pin + spec.shm_path + spec.hostname, "");
  EXPECT_THAT(spec.sysctls, IsEmpty());
}

TEST(ResolvConfTest, HasTheThreeKindsOfLines) {
  runtime::v1::DNSConfig dns;
  dns.add_servers("10.0.0.10");
  dns.add_servers("10.0.0.11");
  dns.add_searches("svc.cluster.local");
  dns.add_searches("cluster.local");
  dns.add_options("ndots:5");
  EXPECT_EQ(FormatResolvConf(dns),
            "search svc.cluster.local cluster.local\nnameserver 10.0.0.10\nnameserver 10.0.0.11\noptions ndots:5\n");
  EXPECT_EQ(FormatResolvConf({}), "");
}

}  // namespace
}  // namespace berth
