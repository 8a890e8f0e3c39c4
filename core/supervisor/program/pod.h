// The supervisor of one pod once it is set up: requests in, processes watched, exits out.
//
// pod.cc dispatches, pod_prepare.cc makes containers and execs ready, pod_run.cc runs commands, pod_reap.cc waits.
#ifndef BERTH_CORE_SUPERVISOR_PROGRAM_POD_H_
#define BERTH_CORE_SUPERVISOR_PROGRAM_POD_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/supervisor/program/container.h"
#include "core/supervisor/program/peers.h"

namespace berth::supervisor {

class Pod {
 public:
  // What the launch made. Descriptors are owned from then on.
  struct Parts {
    wire::LaunchSpec spec;
    UniqueFd directory;  // also its lock
    UniqueFd exits;
    UniqueFd mount_ns;
    pid_t init_pid = 0;
  };

  explicit Pod(Parts parts) : parts_(std::move(parts)) {}

  // After this the pod answers on its socket.
  Error Listen();
  // Until Shutdown, or SIGTERM once nothing runs.
  void Serve();
  // Instead of Serve: ends the init, undoes the pins, removes what is in the directory.
  void Abandon();

 private:
  // pod.cc
  bool OnFrame(uint64_t peer, wire::Frame&& frame);
  bool Dispatch(Waiting from, wire::Frame&& frame);
  bool OnHello(Waiting from, wire::Frame&& frame);
  Error SignalTo(const wire::Signal& m);
  Error KillExec(const wire::Target& m);
  Error ReopenLog(const wire::Target& m);
  Error Resize(const wire::Resize& m);
  Error Forget(const wire::Target& m);
  Error ForgetExec(Container* container, const std::string& exec_id);
  void Acknowledge(uint64_t sequence);
  void TakeTerminal(Waiting to, const wire::Target& m);
  void SendList(Waiting to);
  Error CheckIdle() const;
  void Replay(uint64_t peer);
  void DropOrphanedExecs();
  static void KillProcess(const Process& process);

  void ReplyOk(Waiting to);
  void ReplyError(Waiting to, const Error& error);
  template <class M>
  void Reply(Waiting to, const M& message, std::vector<UniqueFd> descriptors = {});

  Container* FindContainer(std::string_view id) const;
  static Exec* FindExec(const Container* container, std::string_view id);
  // The container's own process or an exec's; nullptr when unknown.
  Process* FindProcess(std::string_view container_id, std::string_view exec_id) const;
  void EraseContainer(const std::string& id);
  void EraseExec(Container* container, const std::string& id);
  bool Uses(const Command& command, std::string_view container_id, std::string_view exec_id) const;

  // pod_prepare.cc
  void Prepare(Waiting from, const wire::PrepareContainer& m);
  Error MakeContainer(Waiting from, const wire::PrepareContainer& m);
  void OnMounterAnswer(const std::string& id);
  void AbandonMounter(Container* container, const Error& error);
  void StartOutputs(Container* container, UniqueFd out, UniqueFd err);
  void PrepareExec(Waiting from, const wire::PrepareExec& m);

  // pod_run.cc
  void Run(Waiting from, const wire::Run& m);
  Error StartCommand(Waiting from, const wire::Run& m);
  Error StartPlain(const wire::Run& m, Command* command);
  Error StartCreate(const wire::Run& m, Command* command);
  Error StartExec(const wire::Run& m, Command* command);
  Error CaptureStart(Command* command, const wire::Run& m);
  void FinishCommand(std::unique_ptr<Command> command, int wait_status);
  Error FinishCreate(Command* command, bool succeeded, pid_t pid);
  Error FinishExec(Command* command, bool succeeded, pid_t pid);
  pid_t StartedPid(const Command& command);
  Error Adopt(Process* process, pid_t pid);
  void Cancel(Waiting from, uint64_t request);
  void CheckDeadlines();
  int64_t NextDeadline() const;

  // pod_reap.cc
  Error WatchSignals();
  void OnSignal();
  void Reap();
  bool ReapKnown();
  bool OnEnded(pid_t pid, int wait_status);
  void OnContainerEnded(Container* container, int wait_status);
  void OnExecEnded(Container* container, Exec* exec, int wait_status);
  void OnMounterEnded(Container* container);
  bool IsKnown(pid_t pid) const;
  void RecordExit(Process* process, int wait_status, const std::string& container_id, const std::string& exec_id);
  void TellDrops();
  bool Idle() const;
  void EndInit();

  Parts parts_;
  Loop loop_;
  Peers peers_;
  UniqueFd signals_;
  Watch signals_watch_;
  std::vector<std::unique_ptr<Container>> containers_;
  std::vector<std::unique_ptr<Command>> commands_;
  uint64_t next_sequence_ = 1;
  int64_t drops_told_at_ = 0;
  bool terminating_ = false, stop_ = false;
  Waiting shutdown_;
};

std::string ExitName(const std::string& container_id, const std::string& exec_id);

template <class M>
void Pod::Reply(Waiting to, const M& message, std::vector<UniqueFd> descriptors) {
  wire::Frame frame = wire::MakeFrame(wire::Type::kReply, to.request, message);
  frame.descriptors = std::move(descriptors);
  peers_.Send(to.peer, std::move(frame));
}

}  // namespace berth::supervisor

#endif  // BERTH_CORE_SUPERVISOR_PROGRAM_POD_H_
