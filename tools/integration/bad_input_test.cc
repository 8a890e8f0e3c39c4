// Requests that are wrong: the right code, a reason, nothing left, and the next request works.
#include "tools/integration/daemon_test.h"

namespace berth {
namespace {

class BadInputTest : public DaemonTest {
 protected:
  void TearDown() override {
    // Whatever was asked before: the daemon still does its work.
    if (daemon_.pid() != 0 && pod_.empty()) {
      RunOne("true");
      EXPECT_OK(WaitFor(container_, cri::CONTAINER_EXITED));
    }
    if (!pod_.empty()) {
      EXPECT_OK(RemovePod(pod_));
    }
    DaemonTest::TearDown();
  }
  template <typename Change>
  absl::Status RunWith(Change change) {
    cri::PodSandboxConfig config = PodConfig("bad");
    change(&config);
    const auto pod = RunPod(config);
    if (pod.ok()) {
      EXPECT_OK(RemovePod(*pod));
    }
    return pod.status();
  }
  template <typename Change>
  absl::Status CreateWith(Change change) {
    if (pod_.empty()) RunOne("sleep 1000");
    cri::ContainerConfig config = ShellConfig("bad", "true");
    change(&config);
    const auto container = Create(pod_, pod_config_, config);
    if (container.ok()) {
      EXPECT_OK(RemoveContainer(*container));
    }
    return container.status();
  }
};

const char* const kUnknownIds[] = {"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "nothing",
                                   "../../etc", "a/b"};

TEST_F(BadInputTest, UnknownIds) {
  for (const std::string id : kUnknownIds) {
    EXPECT_CODE(Status(id), kNotFound);
    EXPECT_CODE(PodStatus(id), kNotFound);
    EXPECT_CODE(StartContainer(id), kNotFound);
    EXPECT_CODE(Exec(id, {"/bin/true"}), kNotFound);
    EXPECT_CODE(Create(id, PodConfig("x"), ShellConfig("x", "true")), kNotFound);
    EXPECT_OK(StopContainer(id, 0));
    EXPECT_OK(RemoveContainer(id));
    EXPECT_OK(StopPod(id));
    EXPECT_OK(RemovePod(id));
  }
}

TEST_F(BadInputTest, EmptyAndOversizedIds) {
  for (const std::string& id : {std::string(), std::string(1 << 20, 'a')}) {
    EXPECT_CODE(Status(id), kInvalidArgument);
    EXPECT_CODE(PodStatus(id), kInvalidArgument);
    EXPECT_CODE(StartContainer(id), kInvalidArgument);
    EXPECT_CODE(Exec(id, {"/bin/true"}), kInvalidArgument);
  }
}

TEST_F(BadInputTest, PodConfigs) {
  EXPECT_CODE(client().RunPodSandbox(cri::RunPodSandboxRequest()), kInvalidArgument);
  EXPECT_CODE(RunWith([](auto* c) { c->clear_metadata(); }), kInvalidArgument);
  EXPECT_CODE(RunWith([](auto* c) { c->mutable_metadata()->clear_name(); }), kInvalidArgument);
  EXPECT_CODE(RunWith([](auto* c) { c->mutable_metadata()->set_name(std::string(1 << 20, 'n')); }), kInvalidArgument);
  EXPECT_CODE(RunWith([](auto* c) { c->set_hostname(std::string(300, 'h')); }), kInvalidArgument);
  EXPECT_CODE(RunWith([](auto* c) { c->set_hostname("../../x"); }), kInvalidArgument);
  EXPECT_CODE(RunWith([](auto* c) { c->set_log_directory("/tmp/../../etc"); }), kInvalidArgument);
  EXPECT_CODE(RunWith([](auto* c) { c->set_log_directory("relative"); }), kInvalidArgument);
  EXPECT_CODE(RunWith([](auto* c) { c->set_log_directory(std::string("/tmp/a\0b", 8)); }), kInvalidArgument);
  EXPECT_CODE(RunWith([](auto* c) { c->mutable_linux()->set_cgroup_parent("/../../up"); }), kInvalidArgument);
  EXPECT_CODE(RunWith([](auto* c) { (*c->mutable_linux()->mutable_sysctls())["kernel.panic"] = "1"; }),
              kInvalidArgument);
  EXPECT_CODE(RunWith([](auto* c) { (*c->mutable_linux()->mutable_sysctls())["net/../../etc/x"] = "1"; }),
              kInvalidArgument);
  EXPECT_CODE(RunPod(PodConfig("bad"), "no-such-handler"), kInvalidArgument);
}

TEST_F(BadInputTest, InvalidUtf8) {
  EXPECT_CODE(RunWith([](auto* c) { c->mutable_metadata()->set_name("\xff\xfe"); }), kInvalidArgument);
  EXPECT_CODE(Status("\xff\xfe"), kInvalidArgument);
  EXPECT_CODE(Pull("\xff\xfe"), kInvalidArgument);
}

TEST_F(BadInputTest, ContainerConfigs) {
  EXPECT_CODE(CreateWith([](auto* c) { c->clear_metadata(); }), kInvalidArgument);
  EXPECT_CODE(CreateWith([](auto* c) { c->mutable_metadata()->clear_name(); }), kInvalidArgument);
  EXPECT_CODE(CreateWith([](auto* c) { c->clear_image(); }), kInvalidArgument);
  EXPECT_CODE(CreateWith([](auto* c) { c->mutable_image()->set_image("example.org/none:1"); }), kNotFound);
  EXPECT_CODE(CreateWith([](auto* c) { c->set_log_path("../../../etc/cron.d/x"); }), kInvalidArgument);
  EXPECT_CODE(CreateWith([](auto* c) { c->set_log_path(std::string("a\0b", 3)); }), kInvalidArgument);
  EXPECT_CODE(CreateWith([](auto* c) { c->set_working_dir("/a/../../b"); }), kInvalidArgument);
  EXPECT_CODE(CreateWith([](auto* c) { c->set_working_dir("relative"); }), kInvalidArgument);
  EXPECT_CODE(CreateWith([](auto* c) { c->set_command(2, std::string("a\0b", 3)); }), kInvalidArgument);
  EXPECT_CODE(CreateWith([](auto* c) { c->add_envs()->set_key("A=B"); }), kInvalidArgument);
  EXPECT_CODE(CreateWith([](auto* c) { c->add_envs(); }), kInvalidArgument);
  EXPECT_CODE(CreateWith([](auto* c) { c->add_mounts(); }), kInvalidArgument);
  EXPECT_CODE(CreateWith([](auto* c) {
                auto* mount = c->add_mounts();
                mount->set_host_path("/tmp");
                mount->set_container_path("/a/../../b");
              }),
              kInvalidArgument);
  EXPECT_CODE(
      CreateWith([](auto* c) {
        c->mutable_linux()->mutable_security_context()->mutable_capabilities()->add_add_capabilities("NONE_SUCH");
      }),
      kInvalidArgument);
  EXPECT_CODE(
      CreateWith([](auto* c) { c->mutable_linux()->mutable_security_context()->set_run_as_username("nobody-here"); }),
      kInvalidArgument);
  EXPECT_CODE(
      CreateWith([](auto* c) { c->mutable_linux()->mutable_security_context()->mutable_run_as_group()->set_value(5); }),
      kInvalidArgument);
}

TEST_F(BadInputTest, AMountWhoseSourceIsMissing) {
  EXPECT_FALSE(CreateWith([](auto* c) {
                 auto* mount = c->add_mounts();
                 mount->set_host_path("/dev/null/below-a-file");
                 mount->set_container_path("/x");
               }).ok());
}

TEST_F(BadInputTest, References) {
  for (const std::string& reference :
       {std::string(), std::string("x/UPPER"), std::string("a b"), std::string("x@sha256:short"),
        std::string("http://example.org/x"), std::string("../../etc/passwd"), std::string(1 << 16, 'x'),
        std::string("x\0y", 3)}) {
    EXPECT_CODE(Pull(reference), kInvalidArgument);
  }
  EXPECT_CODE(Pull("example.org/none:1"), kNotFound);
  EXPECT_CODE(client().PullImage(cri::PullImageRequest()), kInvalidArgument);
}

TEST_F(BadInputTest, ExecSync) {
  RunOne("sleep 1000");
  EXPECT_CODE(Exec(container_, {}), kInvalidArgument);
  EXPECT_CODE(Exec(container_, {std::string("/bin/\0true", 10)}), kInvalidArgument);
  EXPECT_CODE(Exec(container_, {"/bin/true"}, -5), kInvalidArgument);
}

}  // namespace
}  // namespace berth
