// One connection to a supervisor: requests matched with replies, events handed on.
#ifndef BERTH_CORE_SUPERVISOR_CHANNEL_H_
#define BERTH_CORE_SUPERVISOR_CHANNEL_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/unique_fd.h"
#include "core/plugin/call.h"
#include "core/supervisor/client.h"
#include "core/supervisor/wire/frame.h"

namespace berth {

class Channel {
 public:
  Channel(UniqueFd socket, std::string name, SupervisorEvents* events)
      : socket_(std::move(socket)), name_(std::move(name)), events_(events) {}

  // Sends and waits for the reply. An error reply becomes its status. When the call is cancelled or its deadline passes
  // the supervisor is told to give up, and has `kGraceNs` to say how it went. `meanwhile`, if any, is called between
  // sending and waiting.
  absl::StatusOr<wire::Frame> Ask(const Call& call, wire::Frame frame,
                                  const std::function<void()>& meanwhile = nullptr);
  // Sends without an answer to come.
  absl::Status Tell(wire::Frame frame);

  // Sends without waiting for anything. `answered` is called once, on the loop's thread, with the reply as of Ask, or
  // with kUnavailable when the connection ends before it; never once Detach has returned. kUnavailable when the socket
  // takes nothing now.
  using Answered = std::function<void(absl::StatusOr<wire::Frame>)>;
  absl::Status AskLater(wire::Frame frame, Answered answered);

  // See Supervisor::Beat.
  int Beat();
  // See Supervisor::HangUp.
  void HangUp();

  // On the loop's thread. False when the connection has ended and must not be read again.
  bool OnReadable();

  // No event is delivered once this returned.
  void Detach();
  // Waits for an event, or an answer of AskLater, that is being delivered by another thread.
  void AwaitDelivery() { std::lock_guard<std::recursive_mutex> lock(events_mutex_); }
  // The end of the connection is no news from now on (or is again).
  void ExpectEnd(bool expected);

  int fd() const { return socket_.get(); }
  const std::string& name() const { return name_; }
  // Valid once the hello was answered, before any event is delivered.
  wire::HelloReply hello();

 private:
  struct Pending {
    UniqueFd done;   // eventfd
    Answered later;  // of AskLater, instead
    bool answered = false;
    wire::Frame reply;
  };

  absl::Status SendNow(const Call& call, const wire::Packet& packet);
  absl::StatusOr<wire::Frame> Wait(const Call& call, uint64_t request, const std::shared_ptr<Pending>& pending);
  absl::StatusOr<wire::Packet> Register(wire::Frame frame, const std::shared_ptr<Pending>& pending, uint64_t* request);
  void Deliver(const std::shared_ptr<Pending>& pending, absl::StatusOr<wire::Frame> reply);
  absl::Status Gone() const;
  bool OnFrame(wire::Frame frame);
  void OnReply(wire::Frame frame);
  void End();

  const UniqueFd socket_;
  const std::string name_;  // the pod's directory

  std::mutex mutex_;
  std::map<uint64_t, std::shared_ptr<Pending>> pending_;
  uint64_t next_request_ = 1;
  bool ended_ = false, end_expected_ = false;
  wire::HelloReply hello_;
  std::atomic<int> silent_beats_{0};
  std::atomic<bool> beat_asked_{false};

  // Held while an event is delivered. Recursive: an event's handler may drop the last reference to its Supervisor.
  std::recursive_mutex events_mutex_;
  SupervisorEvents* events_;
  bool detached_ = false;
};

class SupervisorLoop::Impl {
 public:
  static absl::StatusOr<std::unique_ptr<Impl>> Start();
  ~Impl();

  absl::Status Add(const std::shared_ptr<Channel>& channel);
  void Remove(const std::shared_ptr<Channel>& channel);

 private:
  Impl(UniqueFd epoll, UniqueFd stop) : epoll_(std::move(epoll)), stop_(std::move(stop)) {}
  void Run();

  UniqueFd epoll_, stop_;
  std::mutex mutex_;
  std::map<uint64_t, std::shared_ptr<Channel>> channels_;
  uint64_t next_id_ = 1;
  std::thread thread_;
};

// Of an absolute deadline: what is left, as messages carry it; 0 when it has passed.
int64_t TimeoutOf(const Call& call);

}  // namespace berth

#endif  // BERTH_CORE_SUPERVISOR_CHANNEL_H_
