// The daemons connected to this supervisor: one, or two while one hands over to the other.
#ifndef BERTH_CORE_SUPERVISOR_PROGRAM_PEERS_H_
#define BERTH_CORE_SUPERVISOR_PROGRAM_PEERS_H_

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/unique_fd.h"
#include "core/supervisor/program/loop.h"
#include "core/supervisor/program/sys.h"
#include "core/supervisor/wire/frame.h"

namespace berth::supervisor {

class Peers {
 public:
  // Takes a frame of a peer. False: it broke the protocol and is hung up on.
  using OnFrame = std::function<bool(uint64_t peer, wire::Frame&& frame)>;

  Error Listen(Loop* loop, int directory_fd, OnFrame on_frame);
  // Unlinks the socket.
  void Close();

  // Never blocks: what the socket does not take is queued, and a peer whose queue is full is dropped. No error when it
  // has gone.
  void Send(uint64_t peer, wire::Frame&& frame);
  // To every peer that has said hello.
  void Broadcast(const wire::Frame& frame);
  void SetGreeted(uint64_t peer);
  bool Greeted(uint64_t peer) const;
  // Whether a peer has gone since the last call.
  bool TakeDropped() { return std::exchange(dropped_, false); }

 private:
  struct Peer {
    uint64_t id = 0;
    bool greeted = false;
    UniqueFd socket;
    std::deque<wire::Packet> queue;
    Watch watch;
  };

  void Accept();
  void OnReady(uint64_t id, uint32_t events);
  bool FlushQueue(Peer* peer);
  Peer* Find(uint64_t id) const;
  void Drop(uint64_t id);

  Loop* loop_ = nullptr;
  int directory_fd_ = -1;
  OnFrame on_frame_;
  UniqueFd listener_;
  Watch watch_;
  uint64_t next_id_ = 1;
  bool dropped_ = false;
  std::vector<std::unique_ptr<Peer>> peers_;
};

}  // namespace berth::supervisor

#endif  // BERTH_CORE_SUPERVISOR_PROGRAM_PEERS_H_
