#include "tools/load/short_life.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "tools/load/numbered_log.h"

namespace berth {
namespace {

class ShortLife {
 public:
  ShortLife(const LoadOptions& options, const std::string& name, std::mt19937_64* random, PatientClient* client,
            LoadReport* report)
      : options_(options), config_(LoadPod(options, name)), random_(*random), client_(client), report_(report) {}

  absl::Status Live() {
    ASSIGN_OR_RETURN(pod_, client_->RunPod(config_));
    ++report_->counts().pods;
    for (uint64_t i = 0, all = 1 + random_() % 3; i < all; ++i) {
      RETURN_IF_ERROR(Annotate(OneContainer(absl::StrCat("c", i)), absl::StrCat("container c", i)));
    }
    if (random_() % 2 == 0) RETURN_IF_ERROR(client_->StopPod(pod_));
    RETURN_IF_ERROR(client_->RemovePod(pod_));
    const absl::Status gone = client_->PodStatus(pod_).status();
    return absl::IsNotFound(gone) ? absl::OkStatus() : absl::InternalError("a removed pod is still there");
  }

 private:
  absl::Status OneContainer(const std::string& name) {
    switch (random_() % 6) {
      case 0:
        return NeverStarted(name);
      case 1:
        return Stopped(name);
      case 2:
        return CannotStart(name);
      case 3:
        return RemovedWhileItRuns(name);
      default:
        return EndsByItself(name);
    }
  }

  absl::StatusOr<std::string> Create(const std::string& name, const std::string& script) {
    return client_->Create(pod_, config_, LoadContainer(options_, name, script));
  }

  absl::StatusOr<std::string> Run(const std::string& name, const std::string& script) {
    ASSIGN_OR_RETURN(const std::string id, Create(name, script));
    RETURN_IF_ERROR(client_->Start(id));
    ++report_->counts().containers;
    return id;
  }

  absl::Status ExpectExit(const std::string& id, int code) {
    ASSIGN_OR_RETURN(const cri::ContainerStatus status, client_->WaitFor(id, cri::CONTAINER_EXITED));
    if (status.exit_code() != code || status.finished_at() <= 0) {
      return absl::InternalError(absl::StrCat("want exit code ", code, ": ", status.ShortDebugString()));
    }
    ++report_->counts().exit_codes;
    return absl::OkStatus();
  }

  absl::Status EndsByItself(const std::string& name) {
    const uint64_t lines = random_() % 300;
    const int code = static_cast<int>(random_() % 120);
    ASSIGN_OR_RETURN(const std::string id,
                     Run(name, absl::StrCat("i=0; while [ $i -lt ", lines,
                                            " ]; do echo line $i; i=$((i+1)); done; echo end; exit ", code)));
    RETURN_IF_ERROR(ExpectExit(id, code));
    ASSIGN_OR_RETURN(const NumberedLog log, ReadNumberedLog({LoadLogPath(config_, name)}, "line"));
    if (log.lines != lines || log.after != "end") {
      return absl::DataLossError(
          absl::StrCat("the log has ", log.lines, " of ", lines, " lines, then \"", log.after, "\""));
    }
    report_->counts().log_lines += lines + 1;
    return random_() % 2 == 0 ? client_->Remove(id) : absl::OkStatus();
  }

  absl::Status Stopped(const std::string& name) {
    const bool obeys = random_() % 2 == 0;
    ASSIGN_OR_RETURN(const std::string id,
                     Run(name, obeys ? "trap 'exit 9' TERM; echo ready; while :; do sleep 0.1; done"
                                     : "trap '' TERM; echo ready; while :; do sleep 1; done"));
    // The first process takes no signal before it asked for it.
    RETURN_IF_ERROR(WaitForLine(name));
    RETURN_IF_ERROR(client_->Stop(id, obeys ? 60 : static_cast<int64_t>(random_() % 2)));
    return ExpectExit(id, obeys ? 9 : 137);
  }

  absl::Status WaitForLine(const std::string& name) {
    for (const absl::Time end = absl::Now() + absl::Minutes(1); absl::Now() < end;) {
      const auto log = ReadNumberedLog({LoadLogPath(config_, name)}, "line");
      if (log.ok() && log->after == "ready") return absl::OkStatus();
      absl::SleepFor(absl::Milliseconds(20));
    }
    return absl::DeadlineExceededError("its line does not come");
  }

  absl::Status NeverStarted(const std::string& name) {
    ASSIGN_OR_RETURN(const std::string id, Create(name, "exit 1"));
    ASSIGN_OR_RETURN(const cri::ContainerStatus status, client_->Status(id));
    if (status.state() != cri::CONTAINER_CREATED) return absl::InternalError("created: " + status.ShortDebugString());
    return random_() % 2 == 0 ? client_->Remove(id) : absl::OkStatus();
  }

  absl::Status RemovedWhileItRuns(const std::string& name) {
    ASSIGN_OR_RETURN(const std::string id, Run(name, "while :; do sleep 1; done"));
    RETURN_IF_ERROR(client_->Remove(id));
    const absl::Status gone = client_->Status(id).status();
    return absl::IsNotFound(gone) ? absl::OkStatus() : absl::InternalError("a removed container is still there");
  }

  absl::Status CannotStart(const std::string& name) {
    cri::ContainerConfig config = LoadContainer(options_, name, "");
    config.clear_command();
    config.add_command("/no/such/program");
    auto id = client_->Create(pod_, config_, config);
    const absl::Status status = id.ok() ? client_->Start(*id) : id.status();
    if (status.ok()) {
      // An interrupted start may have failed unheard: then the container has ended and says so.
      ASSIGN_OR_RETURN(const cri::ContainerStatus now, client_->Status(*id));
      if (now.state() == cri::CONTAINER_EXITED && now.exit_code() != 0) return absl::OkStatus();
      return absl::InternalError("a program that does not exist was started: " + now.ShortDebugString());
    }
    if (absl::StrContains(status.message(), "no/such/program")) return absl::OkStatus();
    return Annotate(status, "a program that does not exist");
  }

  const LoadOptions& options_;
  const cri::PodSandboxConfig config_;
  std::mt19937_64& random_;
  PatientClient* const client_;
  LoadReport* const report_;
  std::string pod_;
};

}  // namespace

absl::Status LiveShortLife(const LoadOptions& options, const std::string& name, std::mt19937_64* random,
                           PatientClient* client, LoadReport* report) {
  return ShortLife(options, name, random, client, report).Live();
}

}  // namespace berth
