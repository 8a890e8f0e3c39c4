// Golden tests of the whole runtime spec. testdata/oci/NAME.in.json says what goes in (the CRI messages in protobuf's
// JSON form), NAME.golden.json what comes out. To renew, from the root of the source tree:
//   UPDATE_GOLDEN=1 PATH/TO/runtime_spec_test
#include "core/oci/runtime_spec.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "core/base/file.h"
#include "core/base/status.h"
#include "core/oci/json.h"

namespace berth::oci {
namespace {

using ::testing::HasSubstr;

constexpr char kDirectory[] = "testdata/oci";

template <typename Message>
Message ReadMessage(const nlohmann::json& input, const char* key) {
  Message message;
  if (!input.contains(key)) return message;
  const auto status = google::protobuf::util::JsonStringToMessage(input.at(key).dump(), &message);
  EXPECT_TRUE(status.ok()) << key << ": " << status.message();
  return message;
}

struct Case {
  nlohmann::json json;
  runtime::v1::ContainerConfig config;
  runtime::v1::PodSandboxConfig pod;
};

HostInputs ReadHost(const JsonReader& host) {
  HostInputs inputs;
  inputs.architecture = "amd64";
  inputs.cgroup.version = host.Has("cgroup_version") ? host.Int("cgroup_version") : 2;
  inputs.seccomp_profile = host.String("seccomp_profile");
  inputs.apparmor.enabled = host.Has("apparmor_profiles");
  for (const std::string& profile : host.Strings("apparmor_profiles")) inputs.apparmor.profiles.insert(profile);
  if (host.Has("min_oom_score_adj")) inputs.min_oom_score_adj = host.Int("min_oom_score_adj");
  for (const JsonReader& device : host.Objects("devices")) {
    inputs.devices.push_back({.path = device.String("path"),
                              .type = device.String("type")[0],
                              .major = device.Int("major"),
                              .minor = device.Int("minor"),
                              .mode = 0600,
                              .access = device.String("access")});
  }
  return inputs;
}

// "selinux": the policy's contexts and the pod's level, on a node that labels containers.
SelinuxLabels ReadLabels(const Case& c, const JsonReader& selinux) {
  if (!selinux.Has("process")) return {};
  const auto process = ParseSelinuxContext(selinux.String("process")),
             file = ParseSelinuxContext(selinux.String("file"));
  EXPECT_TRUE(process.ok() && file.ok());
  return SelinuxLabelsOf({process.value_or(SelinuxContext()), file.value_or(SelinuxContext())},
                         selinux.String("pod_level"), c.pod.linux().security_context(),
                         c.config.linux().security_context());
}

SpecInput ReadInput(const Case& c, absl::Status* status) {
  const JsonReader reader(c.json, "input", status);
  const JsonReader image = reader.Object("image"), namespaces = reader.Object("namespaces");
  SpecInput input{.config = c.config, .pod = c.pod};
  input.sandbox_id = "sandbox0";
  input.image_name = reader.String("image_name");
  input.image.env = image.Strings("env");
  input.image.entrypoint = image.Strings("entrypoint");
  input.image.cmd = image.Strings("cmd");
  input.image.working_dir = image.String("working_dir");
  input.host = ReadHost(reader.Object("host"));
  input.labels = ReadLabels(c, reader.Object("selinux"));
  input.rootfs = "/run/berth/bundles/c/rootfs";
  input.cgroups_path = "/kubepods/pod0/c";
  input.user.uid = static_cast<uint32_t>(reader.Uint("uid"));
  input.user.additional_gids = {0};
  input.network_ns = namespaces.String("network");
  input.ipc_ns = namespaces.String("ipc");
  input.uts_ns = namespaces.String("uts");
  input.pid_ns = namespaces.String("pid");
  input.user_ns = namespaces.String("user");
  if (!input.user_ns.empty()) {
    const JsonReader ids = reader.Object("ids");
    const IdRange range{static_cast<uint32_t>(ids.Uint("host")), static_cast<uint32_t>(ids.Uint("count"))};
    input.ids = IdMaps{range, range};
  }
  if (!input.pid_ns.empty()) input.pid_mode = input.pid_ns == "host" ? PidMode::kHost : PidMode::kPath;
  input.hostname_file = reader.String("hostname_file");
  input.hosts_file = reader.String("hosts_file");
  input.resolv_conf_file = reader.String("resolv_conf_file");
  input.shm = reader.String("shm");
  input.hostname = reader.String("hostname");
  for (const runtime::v1::Mount& mount : c.config.mounts()) {
    auto volume = CheckVolumeMount(mount, mount.host_path(), true);
    EXPECT_TRUE(volume.ok()) << volume.status();
    if (volume.ok()) input.volumes.push_back(*volume);
  }
  return input;
}

absl::StatusOr<nlohmann::json> BuildFrom(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  Case c;
  ASSIGN_OR_RETURN(c.json, ParseJson(text, path));
  c.config = ReadMessage<runtime::v1::ContainerConfig>(c.json, "config");
  c.pod = ReadMessage<runtime::v1::PodSandboxConfig>(c.json, "pod");
  absl::Status status;
  const SpecInput input = ReadInput(c, &status);
  RETURN_IF_ERROR(status);
  return BuildSpec(input);
}

TEST(RuntimeSpec, Golden) {
  const char* update = std::getenv("UPDATE_GOLDEN");
  const auto names = ListDir(kDirectory);
  ASSERT_TRUE(names.ok()) << names.status();
  int cases = 0;
  for (const std::string& name : *names) {
    const size_t end = name.rfind(".in.json");
    if (end == std::string::npos) continue;
    SCOPED_TRACE(name);
    ++cases;
    const auto spec = BuildFrom(std::string(kDirectory) + "/" + name);
    ASSERT_TRUE(spec.ok()) << spec.status();
    const std::string golden = std::string(kDirectory) + "/" + name.substr(0, end) + ".golden.json";
    if (update != nullptr) {
      ASSERT_TRUE(WriteFileAtomic(golden, spec->dump(2) + "\n", 0644, Durability::kVolatile).ok());
      continue;
    }
    const auto text = ReadFile(golden);
    ASSERT_TRUE(text.ok()) << text.status();
    const auto expected = ParseJson(*text, golden);
    ASSERT_TRUE(expected.ok()) << expected.status();
    EXPECT_EQ(*spec, *expected) << nlohmann::json::diff(*expected, *spec).dump(2);
  }
  EXPECT_GE(cases, 10);
}

// Values may be any bytes, JSON may not.
TEST(RuntimeSpec, BinaryEnvironment) {
  runtime::v1::ContainerConfig config;
  config.add_command("/x");
  runtime::v1::KeyValue* variable = config.add_envs();
  variable->set_key("B");
  variable->set_value("a\xff\xc3\xa9z");
  const runtime::v1::PodSandboxConfig pod;
  SpecInput input{.config = config, .pod = pod};
  input.rootfs = "/r";
  const auto spec = BuildSpec(input);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->at("process").at("env").back(), "B=a\xef\xbf\xbd\xc3\xa9z");
  EXPECT_TRUE(DumpJson(*spec, "spec").ok());
}

class BadSpec : public ::testing::Test {
 protected:
  std::string Error(absl::StatusCode code = absl::StatusCode::kInvalidArgument) {
    SpecInput input{.config = config_, .pod = pod_};
    input.rootfs = rootfs_;
    const auto spec = BuildSpec(input);
    EXPECT_EQ(spec.status().code(), code) << spec.status();
    return std::string(spec.status().message());
  }
  runtime::v1::LinuxContainerSecurityContext* Security() { return config_.mutable_linux()->mutable_security_context(); }

  std::string rootfs_ = "/r";
  runtime::v1::ContainerConfig config_;
  runtime::v1::PodSandboxConfig pod_;
};

TEST_F(BadSpec, SaysWhatIsWrong) {
  EXPECT_THAT(Error(), HasSubstr("no command specified"));
  config_.add_command("/x");
  rootfs_ = "relative";
  EXPECT_THAT(Error(), HasSubstr("rootfs"));
  rootfs_ = "/r";
  config_.set_working_dir("../x");
  EXPECT_THAT(Error(), HasSubstr("working_dir"));
  config_.clear_working_dir();
  Security()->add_masked_paths("proc/kcore");
  EXPECT_THAT(Error(), HasSubstr("masked_paths"));
  Security()->clear_masked_paths();
  Security()->set_privileged(true);
  EXPECT_THAT(Error(), HasSubstr("privileged"));
  Security()->set_privileged(false);
  config_.mutable_linux()->mutable_resources()->set_oom_score_adj(2000);
  EXPECT_THAT(Error(), HasSubstr("oom_score_adj"));
  config_.mutable_linux()->mutable_resources()->set_oom_score_adj(0);
  auto* apparmor = Security()->mutable_apparmor();
  apparmor->set_profile_type(runtime::v1::SecurityProfile::Localhost);
  apparmor->set_localhost_ref("localhost/p");
  EXPECT_THAT(Error(absl::StatusCode::kFailedPrecondition), HasSubstr("AppArmor profile p: AppArmor is not enabled"));
}

TEST(RuntimeSpec, AUserNamespaceMapsEveryIdOfTheProcess) {
  runtime::v1::ContainerConfig config;
  config.add_command("/x");
  const runtime::v1::PodSandboxConfig pod;
  SpecInput input{.config = config, .pod = pod};
  input.rootfs = "/r";
  input.user_ns = "/run/berth/ns/p/user";
  EXPECT_EQ(BuildSpec(input).status().code(), absl::StatusCode::kInternal) << "no maps";
  input.ids = IdMaps{{1000, 5}, {1000, 5}};
  const auto spec = BuildSpec(input);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->dump().find("gid=5"), std::string::npos) << "that group is not mapped";
  input.user.uid = 5;
  EXPECT_EQ(BuildSpec(input).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(BadSpec, Variables) {
  config_.add_command("/x");
  runtime::v1::KeyValue* variable = config_.add_envs();
  for (const char* bad : {"", "A=B"}) {
    variable->set_key(bad);
    EXPECT_THAT(Error(), HasSubstr("is no name of an environment variable"));
  }
  variable->set_key("A");
  variable->set_value(std::string("a\0b", 3));
  EXPECT_THAT(Error(), HasSubstr("the value of A has a NUL"));
}

}  // namespace
}  // namespace berth::oci
