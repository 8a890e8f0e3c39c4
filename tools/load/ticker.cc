#include "tools/load/ticker.h"

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/status.h"
#include "tools/load/numbered_log.h"

namespace berth {
namespace {

constexpr char kName[] = "ticker";
constexpr int kExitCode = 42;
constexpr char kScript[] = "trap 'echo end; exit 42' TERM; i=0; while :; do echo tick $i; i=$((i+1)); sleep 0.1; done";

}  // namespace

Ticker::Ticker(const LoadOptions& options, const std::string& name, PatientClient* client, LoadReport* report)
    : options_(options), client_(client), report_(report), pod_config_(LoadPod(options, name)) {}

absl::Status Ticker::Start() {
  ASSIGN_OR_RETURN(pod_, client_->RunPod(pod_config_));
  ++report_->counts().pods;
  ASSIGN_OR_RETURN(container_, client_->Create(pod_, pod_config_, LoadContainer(options_, kName, kScript)));
  RETURN_IF_ERROR(client_->Start(container_));
  ++report_->counts().containers;
  logs_ = {LoadLogPath(pod_config_, kName)};
  ASSIGN_OR_RETURN(pid_, client_->Pid(container_));
  ASSIGN_OR_RETURN(const cri::ContainerStatus status, client_->Status(container_));
  started_at_ = status.started_at();
  return Check();
}

absl::Status Ticker::Check() {
  ASSIGN_OR_RETURN(const cri::ContainerStatus status, client_->Status(container_));
  if (status.state() != cri::CONTAINER_RUNNING || status.started_at() != started_at_) {
    return absl::InternalError("the ticker was disturbed: " + status.ShortDebugString());
  }
  ASSIGN_OR_RETURN(const int pid, client_->Pid(container_));
  if (pid != pid_ || pid <= 0) return absl::InternalError(absl::StrCat("the ticker was process ", pid_, ", is ", pid));
  ASSIGN_OR_RETURN(const cri::PodSandboxStatus pod, client_->PodStatus(pod_));
  if (pod.state() != cri::SANDBOX_READY) return absl::InternalError("the ticker's pod: " + pod.ShortDebugString());
  return ReadNumberedLog(logs_, "tick").status();
}

absl::Status Ticker::ExpectAlive() {
  ASSIGN_OR_RETURN(const NumberedLog before, ReadNumberedLog(logs_, "tick"));
  for (const absl::Time end = absl::Now() + absl::Minutes(1); absl::Now() < end;) {
    ASSIGN_OR_RETURN(const NumberedLog now, ReadNumberedLog(logs_, "tick"));
    if (now.lines > before.lines) return absl::OkStatus();
    absl::SleepFor(absl::Milliseconds(50));
  }
  return absl::InternalError(absl::StrCat("the ticker has written nothing after line ", before.lines));
}

absl::Status Ticker::Exec(uint64_t number) {
  const int code = static_cast<int>(number % 100);
  const std::string script = absl::StrCat("echo out ", number, "; echo err ", number, " >&2; exit ", code);
  ASSIGN_OR_RETURN(const cri::ExecSyncResponse response, client_->Exec(container_, {"/bin/sh", "-c", script}));
  ++report_->counts().execs;
  if (response.exit_code() == code && response.stdout() == absl::StrCat("out ", number, "\n") &&
      response.stderr() == absl::StrCat("err ", number, "\n")) {
    return absl::OkStatus();
  }
  return absl::InternalError(absl::StrCat("exec of `", script, "`: ", response.ShortDebugString()));
}

absl::Status Ticker::Update(uint64_t number) {
  cri::LinuxContainerResources resources;
  resources.set_cpu_shares(static_cast<int64_t>(512 + number % 512));
  resources.set_memory_limit_in_bytes(static_cast<int64_t>((64 + number % 64) << 20));
  RETURN_IF_ERROR(client_->Update(container_, resources));
  ++report_->counts().updates;
  ASSIGN_OR_RETURN(const cri::ContainerStatus status, client_->Status(container_));
  const auto& now = status.resources().linux();
  if (now.cpu_shares() == resources.cpu_shares() && now.memory_limit_in_bytes() == resources.memory_limit_in_bytes()) {
    return absl::OkStatus();
  }
  return absl::InternalError(
      absl::StrCat("updated to ", resources.ShortDebugString(), ", it has ", now.ShortDebugString()));
}

absl::Status Ticker::RotateLog() {
  const std::string path = logs_.back(), old = absl::StrCat(path, ".", logs_.size());
  if (std::rename(path.c_str(), old.c_str()) != 0) return ErrnoStatus("rename " + path);
  logs_.back() = old;
  RETURN_IF_ERROR(client_->ReopenLog(container_));
  logs_.push_back(path);
  ++report_->counts().rotations;
  return ReadNumberedLog(logs_, "tick").status();
}

absl::Status Ticker::Finish() {
  RETURN_IF_ERROR(ExpectAlive());
  RETURN_IF_ERROR(Check());
  RETURN_IF_ERROR(client_->Stop(container_, 60));
  ASSIGN_OR_RETURN(const cri::ContainerStatus status, client_->Status(container_));
  if (status.state() != cri::CONTAINER_EXITED || status.exit_code() != kExitCode) {
    return absl::InternalError("the ticker ended otherwise: " + status.ShortDebugString());
  }
  ++report_->counts().exit_codes;
  ASSIGN_OR_RETURN(const NumberedLog log, ReadNumberedLog(logs_, "tick"));
  if (log.after != "end") return absl::DataLossError("the ticker's last line is missing");
  report_->counts().log_lines += log.lines + 1;
  RETURN_IF_ERROR(client_->StopPod(pod_));
  return client_->RemovePod(pod_);
}

}  // namespace berth
