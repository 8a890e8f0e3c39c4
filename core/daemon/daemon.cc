#include "core/daemon/daemon.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "core/base/clock.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/cri/event_stream.h"
#include "core/cri/listener.h"

namespace berth {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kDrainNanos = 10 * kSecond;
// A daemon that has handed over ends the calls that are left after this.
constexpr int64_t kLongestRetirement = 3600 * kSecond;
// Beyond a connection's age, of which gRPC takes a tenth more or less: for the client to hear it.
constexpr int64_t kToldNanos = 3 * kSecond;
constexpr int64_t kLookNanos = kSecond;
// Event streams of a daemon that hands over are ended before the successor's backlog is dropped: who asks again misses
// none. It has to hold what happens in between.
constexpr size_t kEventsKeptForAll = 10'000;
constexpr int64_t kForEver = std::numeric_limits<int64_t>::max();
constexpr char kSocketName[] = "cri";

// Where this program was started from: another file is there by now, if it was replaced.
std::string OwnBinary() {
  std::string path(4096, '\0');
  const ssize_t n = readlink("/proc/self/exe", path.data(), path.size());
  if (n <= 0) return "";
  path.resize(static_cast<size_t>(n));
  return std::string(absl::StripSuffix(path, " (deleted)"));
}

}  // namespace

Daemon::Daemon(DaemonOptions options)
    : options_(std::move(options)),
      binary_(OwnBinary()),
      started_at_(UnixNanos()),
      parts_(std::make_unique<DaemonParts>()),
      done_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Daemon::~Daemon() { Stop(); }

absl::StatusOr<std::unique_ptr<Daemon>> Daemon::Start(const Config& config, DaemonOptions options) {
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(options)));
  daemon->parts_->config = config;
  daemon->parts_->version = daemon->options_.version;
  if (!daemon->done_) return ErrnoStatus("make an eventfd");
  const std::lock_guard no_upgrade_yet(daemon->upgrade_mutex_);
  RETURN_IF_ERROR(daemon->parts_->Prepare());
  RETURN_IF_ERROR(daemon->options_.predecessor == nullptr ? daemon->Open() : daemon->TakeOver());
  daemon->StartWatchdog();
  LogInfo("serving", {{"socket", config.grpc.socket}, {"version", daemon->options_.version}});
  return daemon;
}

UniqueFd Daemon::PassedListener() {
  UniqueFd found;
  for (UniqueFd& socket : options_.manager->TakeSockets()) {
    const absl::Status fits = CheckListener(socket.get(), parts_->config.grpc.socket);
    if (fits.ok() && !found) {
      found = std::move(socket);
    } else if (!fits.ok()) {
      LogWarn("a socket of the service manager's is not used", {{"error", fits.message()}});
    }
  }
  return found;
}

absl::Status Daemon::Open() {
  DaemonParts& p = *parts_;
  RETURN_IF_ERROR(p.OpenStore());
  RETURN_IF_ERROR(p.MakeRuntime());
  RETURN_IF_ERROR(p.Recover(kEventsKept, BacklogFor::kFirst));
  UniqueFd passed = PassedListener();
  const bool is_passed = passed.valid();
  RETURN_IF_ERROR(p.MakeServer(passed.release(), options_.manager->present()));
  RETURN_IF_ERROR(StartAdmin());
  p.server->Accept();
  if (!is_passed) options_.manager->Keep(kSocketName, p.server->listener());
  options_.manager->Ready("serving");
  return absl::OkStatus();
}

// The other side of HandingOver.
absl::Status Daemon::TakeOver() {
  DaemonParts& p = *parts_;
  HandOverChannel& predecessor = *options_.predecessor;
  const Config& config = p.config;
  RETURN_IF_ERROR(CheckListener(options_.listener.get(), config.grpc.socket));
  RETURN_IF_ERROR(Failpoint("take_over.prepared"));
  RETURN_IF_ERROR(predecessor.Say(
      HandOverWord::kPrepared, EncodeIntroduction({options_.version, config.root, config.state, config.grpc.socket})));
  RETURN_IF_ERROR(predecessor.Expect(HandOverWord::kTakeOver, kForEver).status());
  RETURN_IF_ERROR(Failpoint("take_over.begin"));
  RETURN_IF_ERROR(p.OpenStore());
  RETURN_IF_ERROR(p.MakeRuntime());
  RETURN_IF_ERROR(p.Recover(kEventsKeptForAll, BacklogFor::kEveryone));
  RETURN_IF_ERROR(p.MakeServer(options_.listener.release(), options_.manager->present()));
  RETURN_IF_ERROR(StartAdmin());
  RETURN_IF_ERROR(Failpoint("take_over.recovered"));
  RETURN_IF_ERROR(predecessor.Say(HandOverWord::kRecovered));
  RETURN_IF_ERROR(predecessor.Expect(HandOverWord::kAccept, kForEver).status());
  RETURN_IF_ERROR(Failpoint("take_over.accept"));
  p.server->Accept();
  options_.manager->Ready("serving");
  // Whoever hears it or not: from now on this is the daemon.
  predecessor.Say(HandOverWord::kServing).IgnoreError();
  return absl::OkStatus();
}

absl::Status Daemon::StartAdmin() {
  ASSIGN_OR_RETURN(admin_, AdminServer::Start(parts_->config.admin.socket, this));
  return absl::OkStatus();
}

void Daemon::StartWatchdog() {
  if (options_.manager->watchdog_ns() == 0) return;
  DaemonParts* const p = parts_.get();
  const auto ask = [p](std::function<void()> answered) {
    // A thread of the pool that does something in the store: without either no call is served.
    p->pool->Add([p, answered = std::move(answered)] {
      if (p->store->ForEach(Table::kIntents, [](auto, auto) { return absl::OkStatus(); }).ok()) answered();
    });
  };
  watchdog_ = std::make_unique<Watchdog>(options_.manager->watchdog_ns(), ask, [this] { options_.manager->Alive(); });
}

DaemonStatus Daemon::Status() {
  const DaemonParts& p = *parts_;
  DaemonStatus status;
  status.version = options_.version;
  status.binary = binary_;
  status.socket = p.config.grpc.socket;
  status.started_at = started_at_;
  status.open_calls = static_cast<int64_t>(p.calls.size());
  status.pods = static_cast<int64_t>(p.pods->All().size());
  status.containers = static_cast<int64_t>(p.containers->All().size());
  status.images = static_cast<int64_t>(p.images->List().size());
  return status;
}

absl::StatusOr<Upgraded> Daemon::Upgrade(const std::string& binary) {
  if (!binary.empty() && binary[0] != '/') {
    return absl::InvalidArgumentError(absl::StrCat("upgrade to ", binary, ": the path of the binary is not absolute"));
  }
  std::unique_lock lock(upgrade_mutex_, std::try_to_lock);
  if (!lock.owns_lock()) return absl::AbortedError("upgrade: another hand-over is under way");
  if (handed_over_) return absl::AbortedError("upgrade: this daemon has handed over already; ask its successor");
  // It would take the pool's silence in a hand-over for death.
  watchdog_.reset();
  HandingOver hand_over(
      parts_.get(), {options_.config_path, options_.config_text, options_.manager, [this] { admin_->LeaveSocket(); }});
  HandingOver::Outcome outcome = hand_over.Run(binary.empty() ? binary_ : binary);
  if (outcome.lost) {
    handed_over_ = true;
    lost_ = true;
    eventfd_write(done_.get(), 1);
    return outcome.status;
  }
  if (outcome.successor == nullptr) {
    StartWatchdog();
    return outcome.status;
  }
  handed_over_ = true;
  const Upgraded upgraded{outcome.successor->pid(), outcome.version};
  retiring_ = std::thread([this, successor = std::move(outcome.successor)]() mutable { Retire(std::move(successor)); });
  if (!outcome.status.ok()) return outcome.status;
  return upgraded;
}

void Daemon::UpgradeLater() {
  if (asked_.exchange(true)) return LogWarn("upgrade by signal: one is under way already");
  if (upgrading_.joinable()) upgrading_.join();
  upgrading_ = std::thread([this] {
    if (const auto upgraded = Upgrade(""); !upgraded.ok()) {
      LogError("upgrade by signal", {{"error", upgraded.status().message()}});
    }
    asked_ = false;
  });
}

bool Daemon::WaitUntilStopped(int64_t deadline_ns) {
  std::unique_lock lock(stop_mutex_);
  const std::chrono::nanoseconds patience(std::max<int64_t>(deadline_ns - MonotonicNanos(), 0));
  return stop_changed_.wait_for(lock, patience, [this] { return stopping_; });
}

void Daemon::Retire(std::unique_ptr<Successor> successor) {
  DaemonParts& p = *parts_;
  const int64_t began = MonotonicNanos();
  const int64_t told = began + p.config.grpc.connection_age_seconds * kSecond * 11 / 10 + kToldNanos;
  bool detached = false, ended_streams = false;
  for (;;) {
    const int64_t now = MonotonicNanos();
    successor->Reap();
    if (!detached && p.exec_pool->WaitUntilIdle(now)) {
      p.pods->Detach();
      detached = true;
    }
    if (now >= told && !std::exchange(ended_streams, true)) p.calls.EndEndless();
    // A client whose connection is there may send a call at any moment.
    if (now >= told && p.calls.size() == 0) {
      const auto connections = CountConnections(p.config.grpc.socket);
      if (connections.ok() && *connections == 0) break;
    }
    if (now >= began + kLongestRetirement) break;
    if (WaitUntilStopped(now + kLookNanos)) return;
  }
  LogInfo("this daemon has handed over, and its last client is gone");
  eventfd_write(done_.get(), 1);
}

void Daemon::Stop() {
  if (parts_ == nullptr) return;
  {
    std::lock_guard lock(stop_mutex_);
    stopping_ = true;
    stop_changed_.notify_all();
  }
  // A hand-over that is under way comes to its end.
  if (upgrading_.joinable()) upgrading_.join();
  admin_.reset();
  watchdog_.reset();
  if (retiring_.joinable()) retiring_.join();
  DaemonParts& p = *parts_;
  if (p.server != nullptr) p.server->Drain(MonotonicNanos() + kDrainNanos);
  if (p.containers != nullptr) p.containers->Shutdown();
  // From here on nothing starts work: timers, then the supervisors' events, then what is queued runs out.
  if (p.timers != nullptr) p.timers->Close();
  if (p.pods != nullptr) p.pods->Detach();
  p.image_pool.reset();
  p.exec_pool.reset();
  p.pool.reset();
  parts_.reset();
}

}  // namespace berth
