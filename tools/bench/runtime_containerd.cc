#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/base/subprocess.h"
#include "core/cri/client/cri_client.h"
#include "tools/bench/runtime.h"
#include "tools/bench/stand_ins.h"
#include "tools/image/oci_layout.h"
#include "tools/integration/place.h"

namespace berth {
namespace {

constexpr char kProgram[] = "/usr/bin/containerd";
constexpr char kPauseImage[] = "example.org/test/pause:1";

absl::Status Write(const std::string& path, const std::string& text) {
  return WriteFileAtomic(path, text, 0644, Durability::kVolatile);
}

absl::Status Run(std::vector<std::string> argv, const std::string& directory = "") {
  Command command;
  command.argv = std::move(argv);
  command.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + directory};
  command.deadline_ns = MonotonicNanos() + int64_t{120'000'000'000};
  ASSIGN_OR_RETURN(const CommandResult result, RunCommand(command));
  if (result.wait_status == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(command.argv[0], " ", command.argv[1], ": ", result.err));
}

std::string ConfigText(const std::string& directory, const std::string& executor, const std::string& cni_bin_dir) {
  return absl::StrCat("version = 2\nroot = \"", directory, "/root\"\nstate = \"", directory, R"(/state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = ")",
                      directory, R"(/cri.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = ")",
                      directory, R"(/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = ")",
                      kPauseImage, R"("
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = ")",
                      cni_bin_dir, R"("
    conf_dir = ")",
                      directory, R"(/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "measured"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.measured]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.measured.options]
        BinaryName = ")",
                      executor, "\"\n");
}

absl::Status Import(const std::string& directory, const std::string& layout) {
  RETURN_IF_ERROR(Run({"/usr/bin/tar", "-C", layout, "-cf", directory + "/image.tar", "."}));
  return Run(
      {"/usr/bin/ctr", "-a", directory + "/cri.sock", "-n", "k8s.io", "images", "import", directory + "/image.tar"},
      directory);
}

absl::Status ImportImages(const std::string& directory, const std::string& runfiles) {
  ASSIGN_OR_RETURN(const std::string pause, ReadFile(runfiles + "/tools/bench/pause", 64 << 20));
  ASSIGN_OR_RETURN(const std::string layer, MakeTar({{LayerEntry::Type::kFile, "pause", pause, 0755}}));
  ImageSettings settings;
  settings.reference = kPauseImage;
  settings.command = {"/pause"};
  RETURN_IF_ERROR(AddImage(directory + "/pause", settings, {layer}).status());
  RETURN_IF_ERROR(AddBusyboxImage(directory + "/busybox", kTestImage).status());
  RETURN_IF_ERROR(Import(directory, directory + "/pause"));
  return Import(directory, directory + "/busybox");
}

class ContainerdRuntime : public Runtime {
 public:
  ContainerdRuntime(std::string directory, StandIns stand_ins, DaemonProcess daemon)
      : directory_(std::move(directory)), stand_ins_(std::move(stand_ins)), daemon_(std::move(daemon)) {}

  std::string name() const override { return "containerd"; }
  std::string socket() const override { return directory_ + "/cri.sock"; }
  std::string program() const override { return kProgram; }
  pid_t pid() const override { return daemon_.pid(); }
  std::string logs() const override { return directory_ + "/logs"; }
  absl::StatusOr<std::vector<ProcessTime>> TakeTimes() override { return stand_ins_.Take(); }

 private:
  std::string directory_;
  StandIns stand_ins_;
  DaemonProcess daemon_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Runtime>> StartContainerd(const RuntimeOptions& options) {
  if (access(kProgram, X_OK) != 0) return absl::NotFoundError("containerd is not installed");
  const std::string& directory = options.directory;
  // containerd tries its stand-in's directory only: every plugin has to be in it.
  ASSIGN_OR_RETURN(StandIns stand_ins,
                   StandIns::Make(directory + "/timed", options.runfiles,
                                  {options.executor, "/usr/lib/cni/bridge", "/usr/lib/cni/loopback"}));
  for (const char* name : {"host-local"}) {
    if (symlink(absl::StrCat("/usr/lib/cni/", name).c_str(), absl::StrCat(stand_ins.directory(), "/", name).c_str()) !=
        0) {
      return ErrnoStatus("symlink");
    }
  }
  RETURN_IF_ERROR(MakeDirs(directory + "/cni"));
  RETURN_IF_ERROR(MakeDirs(directory + "/logs"));
  PlaceOptions network;
  network.bridge = "berthtest1";
  network.subnet = "10.223.0.0/16";
  RETURN_IF_ERROR(Write(directory + "/cni/10-test.conflist", NetworkList(network, directory + "/leases")));
  const std::string executor = stand_ins.directory() + options.executor.substr(options.executor.rfind('/'));
  RETURN_IF_ERROR(Write(directory + "/config.toml", ConfigText(directory, executor, stand_ins.directory())));
  ASSIGN_OR_RETURN(DaemonProcess daemon, DaemonProcess::Start({kProgram, "--config", directory + "/config.toml"},
                                                              directory + "/containerd.log"));
  CriClient client(directory + "/cri.sock");
  RETURN_IF_ERROR(client.WaitUntilServing(absl::Seconds(60)));
  RETURN_IF_ERROR(ImportImages(directory, options.runfiles));
  return std::unique_ptr<Runtime>(
      std::make_unique<ContainerdRuntime>(directory, std::move(stand_ins), std::move(daemon)));
}

}  // namespace berth
