// The plugin executor_oci: configuration in, CliExecutor out. README.md has the keys.
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "berth/sdk/oci_executor.h"
#include "plugins/executor_oci/cli_executor.h"

namespace berth::executor_oci {
namespace {

constexpr const char* kDirectories[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"};

class HostRunner : public CommandRunner {
 public:
  explicit HostRunner(const sdk::Host& host) : host_(host) {}

  sdk::Result<sdk::SupervisedResult> RunSupervised(const sdk::Call& call,
                                                   const sdk::SupervisedCommand& command) override {
    return host_.RunSupervised(call, command);
  }
  sdk::Result<sdk::CommandResult> Spawn(const sdk::Call& call, const sdk::Command& command) override {
    return host_.Spawn(call, command);
  }

 private:
  const sdk::Host host_;
};

// A bare name is looked for where distributions put runtimes; one that is nowhere is left for Open to refuse.
std::string Resolved(const sdk::Config& config) {
  const std::string binary = config.String("binary", "/usr/bin/crun");
  if (binary.empty() || binary.find('\0') != std::string::npos) config.Fail("binary", "want a program");
  if (binary[0] == '/') return binary;
  if (binary.find('/') != std::string::npos) {
    config.Fail("binary", "want an absolute path or a name without a slash, found \"" + binary + "\"");
  }
  for (const char* directory : kDirectories) {
    const std::string path = std::string(directory) + "/" + binary;
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return std::string(kDirectories[3]) + "/" + binary;
}

constexpr char kSystemdOption[] = "--systemd-cgroup";

// The global options: what the configuration adds, and how the runtime is to make cgroups.
std::vector<std::string> Options(const sdk::Config& config) {
  std::vector<std::string> args = config.Strings("args");
  if (std::find(args.begin(), args.end(), kSystemdOption) != args.end()) {
    config.Fail("args", std::string(kSystemdOption) + ": set cgroup_driver = \"systemd\" in [runtime] instead");
  }
  const std::string driver = config.String("cgroup_driver", "cgroupfs");
  if (driver != "cgroupfs" && driver != "systemd") {
    config.Fail("cgroup_driver", "want \"cgroupfs\" or \"systemd\", found \"" + driver + "\"");
  }
  if (driver == "cgroupfs") return args;
  // sd_booted(3)
  if (access("/run/systemd/system", F_OK) != 0) {
    config.Fail("cgroup_driver",
                "systemd does not run on this machine: set cgroupfs, in the kubelet's configuration too");
  }
  args.insert(args.begin(), kSystemdOption);
  return args;
}

class Plugin : public sdk::OciExecutor {
 public:
  explicit Plugin(const sdk::Host& host) {
    const sdk::Config config = host.config();
    Settings settings;
    settings.binary = Resolved(config);
    settings.root = config.Path("root", host.state() + "/executor/" + host.instance());
    settings.args = Options(config);
    settings.timeout_seconds = config.Int("timeout_seconds", settings.timeout_seconds, 1, 3600);
    auto opened = CliExecutor::Open(std::move(settings), std::make_unique<HostRunner>(host));
    if (!opened.ok()) throw sdk::internal::StatusException(opened.status());
    executor_ = *std::move(opened);
  }

  uint64_t capabilities() const override { return sdk::kSupervised; }
  sdk::Result<sdk::ExecutorFeatures> Features(const sdk::Call& call) override { return executor_->Features(call); }

  // Exits are the supervisor's to tell (kSupervised).
  sdk::Result<pid_t> Create(const sdk::Call& call, const sdk::ContainerRequest& request, sdk::OnExit) override {
    return executor_->Create(call, request);
  }
  sdk::Result<pid_t> Exec(const sdk::Call& call, const sdk::ExecRequest& request, sdk::OnExit) override {
    return executor_->Exec(call, request);
  }

  sdk::Status Start(const sdk::Call& call, const sdk::ContainerRequest& request) override {
    return executor_->Start(call, request);
  }
  sdk::Status Kill(const sdk::Call& call, const sdk::ContainerRequest& request, int signal, bool all) override {
    return executor_->Kill(call, request, signal, all);
  }
  sdk::Status Delete(const sdk::Call& call, const sdk::ContainerRequest& request) override {
    return executor_->Delete(call, request);
  }
  sdk::Status Update(const sdk::Call& call, const sdk::ContainerRequest& request,
                     const std::string& resources_json) override {
    return executor_->Update(call, request, resources_json);
  }
  sdk::Status Pause(const sdk::Call& call, const sdk::ContainerRequest& request) override {
    return executor_->Pause(call, request);
  }
  sdk::Status Resume(const sdk::Call& call, const sdk::ContainerRequest& request) override {
    return executor_->Resume(call, request);
  }
  sdk::Result<sdk::ExecutorContainer> State(const sdk::Call& call, const sdk::ContainerRequest& request) override {
    return executor_->State(call, request);
  }

 private:
  std::unique_ptr<CliExecutor> executor_;
};

}  // namespace
}  // namespace berth::executor_oci

BERTH_OCI_EXECUTOR_PLUGIN("executor_oci", "0.1.0", berth::executor_oci::Plugin);
