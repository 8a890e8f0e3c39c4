#include "core/container/container_config.h"

#include <signal.h>

#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "core/base/path.h"
#include "core/base/status.h"
#include "core/oci/apparmor.h"
#include "core/oci/selinux.h"
#include "core/oci/user_namespace.h"
#include "core/oci/volume_mount.h"

namespace berth {
namespace {

using runtime::v1::ContainerConfig;
using runtime::v1::NamespaceMode;
using runtime::v1::Signal;

constexpr size_t kMostNameBytes = 1024;
constexpr size_t kMostConfigBytes = 4 << 20;

absl::Status CheckText(const std::string& value, absl::string_view what) {
  if (value.find('\0') != value.npos) return absl::InvalidArgumentError(absl::StrCat(what, " contains a NUL byte"));
  return absl::OkStatus();
}

absl::Status CheckProcess(const ContainerConfig& config) {
  for (const std::string& word : config.command()) RETURN_IF_ERROR(CheckText(word, "command"));
  for (const std::string& word : config.args()) RETURN_IF_ERROR(CheckText(word, "args"));
  for (const runtime::v1::KeyValue& env : config.envs()) {
    RETURN_IF_ERROR(CheckText(env.key(), "envs.key"));
    RETURN_IF_ERROR(CheckText(env.value(), "envs.value"));
    if (env.key().empty() || env.key().find('=') != std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat("envs: \"", env.key(), "\" is no name of a variable"));
    }
  }
  if (!config.working_dir().empty()) RETURN_IF_ERROR(CheckAbsolutePath(config.working_dir(), "working_dir"));
  return absl::OkStatus();
}

absl::Status CheckMount(const runtime::v1::Mount& mount) {
  RETURN_IF_ERROR(CheckAbsolutePath(mount.container_path(), "mounts.container_path"));
  if (mount.has_image() && !mount.image().image().empty()) {
    return absl::UnimplementedError(absl::StrCat("mount an image at ", mount.container_path(), ": not served yet"));
  }
  RETURN_IF_ERROR(oci::CheckMountFields(mount));
  return CheckAbsolutePath(mount.host_path(), "mounts.host_path");
}

absl::Status CheckSecurity(const runtime::v1::LinuxContainerSecurityContext& security) {
  if (!runtime::v1::NamespaceMode_IsValid(security.namespace_options().pid())) {
    return absl::InvalidArgumentError("namespace_options.pid of a container is no known mode");
  }
  if (security.namespace_options().pid() == NamespaceMode::TARGET && security.namespace_options().target_id().empty()) {
    return absl::InvalidArgumentError("namespace_options.target_id is empty, and its pid mode is TARGET");
  }
  if (security.has_run_as_group() && !security.has_run_as_user() && security.run_as_username().empty()) {
    return absl::InvalidArgumentError("run_as_group is given without run_as_user or run_as_username");
  }
  RETURN_IF_ERROR(oci::AppArmorChoiceOf(security).status());
  return oci::CheckSelinuxOptions(security.selinux_options());
}

absl::StatusOr<int> SignalNumber(absl::string_view name) {
  const absl::string_view given = name;
  absl::ConsumePrefix(&name, "SIG");
  int number = 0;
  if (absl::SimpleAtoi(name, &number)) {
    if (number > 0 && number <= SIGRTMAX) return number;
  } else if (absl::ConsumePrefix(&name, "RTMIN")) {
    if (name.empty()) return SIGRTMIN;
    if (absl::ConsumePrefix(&name, "+") && absl::SimpleAtoi(name, &number) && number >= 0 &&
        SIGRTMIN + number <= SIGRTMAX) {
      return SIGRTMIN + number;
    }
  } else if (absl::ConsumePrefix(&name, "RTMAX")) {
    if (name.empty()) return SIGRTMAX;
    if (absl::ConsumePrefix(&name, "-") && absl::SimpleAtoi(name, &number) && number >= 0 &&
        SIGRTMAX - number >= SIGRTMIN) {
      return SIGRTMAX - number;
    }
  } else {
    for (number = 1; number < SIGRTMIN; ++number) {
      const char* abbreviation = sigabbrev_np(number);
      if (abbreviation != nullptr && name == abbreviation) return number;
    }
    if (name == "CLD") return SIGCHLD;
    if (name == "IOT") return SIGABRT;
    if (name == "IO") return SIGIO;
  }
  return absl::InvalidArgumentError(absl::StrCat("stop signal: \"", given, "\" is no signal of this system"));
}

}  // namespace

absl::Status CheckContainerConfig(const ContainerConfig& config) {
  if (!config.has_metadata()) return absl::InvalidArgumentError("container config has no metadata");
  if (config.metadata().name().empty()) return absl::InvalidArgumentError("container metadata.name is empty");
  if (config.metadata().name().size() > kMostNameBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("container metadata.name is longer than ", kMostNameBytes, " bytes"));
  }
  RETURN_IF_ERROR(CheckText(config.metadata().name(), "container metadata.name"));
  if (config.ByteSizeLong() > kMostConfigBytes) {
    return absl::InvalidArgumentError(absl::StrCat("container config is larger than ", kMostConfigBytes, " bytes"));
  }
  if (config.image().image().empty()) return absl::InvalidArgumentError("container config names no image");
  if (!config.log_path().empty()) RETURN_IF_ERROR(CheckRelativePath(config.log_path(), "log_path"));
  RETURN_IF_ERROR(CheckProcess(config));
  for (const runtime::v1::Mount& mount : config.mounts()) RETURN_IF_ERROR(CheckMount(mount));
  if (config.cdi_devices_size() > 0) return absl::UnimplementedError("CDI devices are not served yet");
  return CheckSecurity(config.linux().security_context());
}

absl::Status CheckAgainstPod(const runtime::v1::PodSandboxConfig& pod, const ContainerConfig& config) {
  ASSIGN_OR_RETURN(const std::optional<oci::IdMaps> ids,
                   oci::IdMapsOf(pod.linux().security_context().namespace_options()));
  RETURN_IF_ERROR(oci::CheckContainerIdMaps(config.linux().security_context().namespace_options(), ids));
  for (const runtime::v1::Mount& mount : config.mounts()) RETURN_IF_ERROR(oci::CheckVolumeIdMaps(mount, ids));
  return absl::OkStatus();
}

std::string ContainerNameKey(const std::string& pod_id, const runtime::v1::ContainerMetadata& metadata) {
  return absl::StrCat(pod_id, metadata.name(), ":", metadata.attempt());
}

absl::StatusOr<std::string> LogPathOf(const runtime::v1::PodSandboxConfig& pod, const ContainerConfig& config) {
  if (config.log_path().empty() || pod.log_directory().empty()) return std::string();
  RETURN_IF_ERROR(CheckRelativePath(config.log_path(), "log_path"));
  return absl::StrCat(pod.log_directory(), "/", config.log_path());
}

absl::StatusOr<int> StopSignalOf(const ContainerConfig& config, absl::string_view image_stop_signal) {
  if (config.stop_signal() != Signal::SIGNAL_RUNTIME_DEFAULT) {
    if (!runtime::v1::Signal_IsValid(config.stop_signal()))
      return absl::InvalidArgumentError("stop_signal is no signal");
    std::string name = runtime::v1::Signal_Name(config.stop_signal());
    // SIGNAL_SIGRTMINPLUS3 is RTMIN+3, SIGNAL_SIGRTMAXMINUS2 is RTMAX-2.
    if (const size_t plus = name.find("PLUS"); plus != name.npos) name.replace(plus, 4, "+");
    if (const size_t minus = name.find("MINUS"); minus != name.npos) name.replace(minus, 5, "-");
    return SignalNumber(absl::StripPrefix(name, "SIGNAL_"));
  }
  return image_stop_signal.empty() ? absl::StatusOr<int>(SIGTERM) : SignalNumber(image_stop_signal);
}

Signal CriSignal(int number) {
  std::string name;
  if (number >= SIGRTMIN && number <= SIGRTMAX) {
    const int offset = number - SIGRTMIN;
    const int back = SIGRTMAX - number;
    name = offset == 0    ? "RTMIN"
           : back == 0    ? "RTMAX"
           : offset <= 15 ? absl::StrCat("RTMINPLUS", offset)
                          : absl::StrCat("RTMAXMINUS", back);
  } else if (const char* abbreviation = sigabbrev_np(number)) {
    name = abbreviation;
  }
  Signal signal = Signal::SIGNAL_RUNTIME_DEFAULT;
  runtime::v1::Signal_Parse(absl::StrCat("SIGNAL_SIG", name), &signal);
  return signal;
}

}  // namespace berth
