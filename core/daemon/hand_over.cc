#include "core/daemon/hand_over.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/clock.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/base/status.h"

namespace berth {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
// Loading plugins takes a fraction of a second, recovering a thousand containers one.
constexpr int64_t kPreparePatience = 60 * kSecond, kRecoverPatience = 120 * kSecond, kServePatience = 30 * kSecond;
// How long clients may be kept waiting for the sake of others' calls.
constexpr int64_t kCallsPatience = 15 * kSecond;
// Of what goes on behind the calls each step has a deadline of its own; a disk that hangs has none.
constexpr int64_t kWorkPatience = 120 * kSecond;
constexpr char kOwnBinary[] = "/proc/self/exe";

}  // namespace

std::string EncodeIntroduction(const Introduction& i) {
  return absl::StrCat(i.version, "\n", i.root, "\n", i.state, "\n", i.socket);
}

absl::StatusOr<Introduction> DecodeIntroduction(absl::string_view text) {
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  if (lines.size() < 4) return absl::InternalError("the successor does not say whose successor it is");
  return Introduction{lines[0], lines[1], lines[2], lines[3]};  // a later build may say more
}

HandingOver::Outcome HandingOver::Run(const std::string& binary) {
  Outcome outcome;
  LogInfo("handing over to a successor", {{"binary", binary}});
  options_.manager->Reloading();
  auto next = Prepare(binary, /*with_own_config=*/false);
  outcome.status = next.status();
  if (outcome.status.ok()) outcome.status = HoldCalls();
  if (!outcome.status.ok()) {
    LogError("no hand-over; this daemon goes on", {{"error", outcome.status.message()}});
    options_.manager->Ready("serving");
    return outcome;
  }
  GiveUpState();
  outcome.status = Install(next->get());
  if (!outcome.status.ok()) {
    LogError("the successor does not serve; this daemon's own binary takes its place",
             {{"error", outcome.status.message()}});
    next->reset();  // it is dead before another one opens the store
    next = Prepare(kOwnBinary, /*with_own_config=*/true);
    const absl::Status again = next.ok() ? Install(next->get()) : next.status();
    if (!again.ok()) {
      LogError("nobody serves; this daemon ends", {{"error", again.message()}});
      outcome.lost = true;
      return outcome;
    }
  }
  (*next)->LetGo();
  parts_.server->LeaveSocket();
  outcome.version = version_;
  outcome.successor = *std::move(next);
  LogInfo("handed over", {{"pid", outcome.successor->pid()}, {"version", version_}});
  return outcome;
}

absl::StatusOr<std::unique_ptr<Successor>> HandingOver::Prepare(const std::string& binary, bool with_own_config) {
  const std::string what = absl::StrCat("start the successor ", binary);
  SuccessorOptions options;
  options.binary = binary;
  options.config_path = options_.config_path;
  if (with_own_config) options.config_text = options_.config_text;
  options.listener = parts_.server->listener();
  options.environment = options_.manager->EnvironmentForSuccessor();
  auto next = Successor::Start(options);
  if (!next.ok()) return absl::FailedPreconditionError(absl::StrCat(what, ": ", next.status().message()));
  const auto said = (*next)->Expect(HandOverWord::kPrepared, MonotonicNanos() + kPreparePatience);
  if (!said.ok()) return absl::FailedPreconditionError(absl::StrCat(what, ": ", said.status().message()));
  ASSIGN_OR_RETURN(const Introduction introduction, DecodeIntroduction(*said));
  const Config& config = parts_.config;
  if (introduction.root != config.root || introduction.state != config.state ||
      introduction.socket != config.grpc.socket) {
    return absl::FailedPreconditionError(absl::StrCat(
        what,
        ": its configuration has another `root`, `state` or `[grpc] socket`, which takes a restart of the node's ",
        "pods; put back ", config.root, ", ", config.state, " and ", config.grpc.socket));
  }
  version_ = introduction.version;
  RETURN_IF_ERROR(Failpoint("hand_over.prepared"));
  return next;
}

absl::Status HandingOver::HoldCalls() {
  const int64_t deadline = MonotonicNanos() + kCallsPatience;
  parts_.server->PauseAccepting();
  parts_.gate.Close();
  Failpoint("hand_over.closed").IgnoreError();
  const size_t left = parts_.calls.WaitForHandOver(deadline);
  if (left == 0 && parts_.pool->WaitUntilIdle(deadline)) return absl::OkStatus();
  parts_.gate.Open(Served::kHere);
  parts_.server->Accept();
  return absl::DeadlineExceededError(
      left > 0 ? absl::StrCat("hand over: ", left, " calls under way did not end within ", kCallsPatience / kSecond,
                              " s; try again, or see in the log what they wait for")
               : absl::StrCat("hand over: the work on pods did not come to rest within ", kCallsPatience / kSecond,
                              " s; try again"));
}

void HandingOver::GiveUpState() {
  Failpoint("hand_over.moving").IgnoreError();
  parts_.gate.Open(Served::kBySuccessor);
  parts_.calls.MoveAll();
  parts_.pods->Freeze();
  parts_.containers->Freeze();
  parts_.timers->Close();
  const int64_t deadline = MonotonicNanos() + kWorkPatience;
  // Pulls that have moved are undone on the second; what it queues on the first is waited for then.
  const bool images_rest = parts_.image_pool->WaitUntilIdle(deadline);
  if (!parts_.pool->WaitUntilIdle(deadline) || !images_rest) {
    // As after a kill -9: what cannot be committed any more is undone by the successor.
    LogError("work of this daemon does not end; it is handed over all the same");
  }
  Failpoint("hand_over.rested").IgnoreError();
  parts_.starter->KeepNoSpare();
  options_.on_given_up();
  parts_.store->GiveUp();
  Failpoint("hand_over.given_up").IgnoreError();
}

absl::Status HandingOver::Install(Successor* next) {
  const auto expect = [next](HandOverWord word, int64_t patience_ns) -> absl::Status {
    const auto heard = next->Expect(word, MonotonicNanos() + patience_ns);
    if (heard.ok()) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat("the successor could not take over: ", heard.status().message()));
  };
  RETURN_IF_ERROR(next->Say(HandOverWord::kTakeOver));
  RETURN_IF_ERROR(expect(HandOverWord::kRecovered, kRecoverPatience));
  Failpoint("hand_over.recovered").IgnoreError();
  // Before it may serve: whoever dies from here on, the service manager knows whom to watch.
  options_.manager->MainProcess(next->pid());
  RETURN_IF_ERROR(next->Say(HandOverWord::kAccept));
  RETURN_IF_ERROR(expect(HandOverWord::kServing, kServePatience));
  Failpoint("hand_over.served").IgnoreError();
  return absl::OkStatus();
}

}  // namespace berth
