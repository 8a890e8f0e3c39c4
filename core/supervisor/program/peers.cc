#include "core/supervisor/program/peers.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace berth::supervisor {
namespace {

constexpr size_t kMaxPeers = 16;
constexpr size_t kMaxQueue = 256;
constexpr int kFramesAtATime = 16;  // of one peer, before others get their turn

bool IsRoot(int socket) {
  ucred credentials;
  socklen_t size = sizeof(credentials);
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 && credentials.uid == 0;
}

}  // namespace

Error Peers::Listen(Loop* loop, int directory_fd, OnFrame on_frame) {
  loop_ = loop;
  directory_fd_ = directory_fd;
  on_frame_ = std::move(on_frame);
  listener_.reset(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener_) return Errno("socket");
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::string path = Concat({"/proc/self/fd/", Decimal(directory_fd), "/", wire::kSocketName});
  memcpy(address.sun_path, path.c_str(), path.size() + 1);
  unlinkat(directory_fd, wire::kSocketName, 0);  // the lock on the directory says that nobody listens there
  if (bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      fchmodat(directory_fd, wire::kSocketName, 0600, 0) != 0 || listen(listener_.get(), 16) != 0) {
    return Errno("listen on supervisor.sock");
  }
  watch_ = Watch(loop_, listener_.get(), EPOLLIN, [this](uint32_t) { Accept(); });
  return Ok();
}

void Peers::Close() {
  watch_.Stop();
  if (listener_) unlinkat(directory_fd_, wire::kSocketName, 0);
  listener_.reset();
  peers_.clear();
}

void Peers::Accept() {
  UniqueFd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  // The connection stays in the queue when there is no descriptor for it: don't spin on it.
  if (!socket && (errno == EMFILE || errno == ENFILE)) usleep(10000);
  if (!socket || peers_.size() >= kMaxPeers || !IsRoot(socket.get())) return;
  auto peer = std::make_unique<Peer>();
  uint64_t id = peer->id = next_id_++;
  peer->socket = std::move(socket);
  peer->watch = Watch(loop_, peer->socket.get(), EPOLLIN, [this, id](uint32_t events) { OnReady(id, events); });
  peers_.push_back(std::move(peer));
}

void Peers::OnReady(uint64_t id, uint32_t events) {
  Peer* peer = Find(id);
  if (peer == nullptr) return;
  if ((events & EPOLLOUT) != 0 && !FlushQueue(peer)) return Drop(id);
  for (int i = 0; i < kFramesAtATime; ++i) {
    wire::Frame frame;
    wire::Received received = wire::ReceiveFrame(peer->socket.get(), &frame);
    if (received == wire::Received::kNothing) return;
    if (received != wire::Received::kFrame || !on_frame_(id, std::move(frame))) return Drop(id);
    peer = Find(id);  // answering may have dropped it
    if (peer == nullptr) return;
  }
}

void Peers::Send(uint64_t id, wire::Frame&& frame) {
  Peer* peer = Find(id);
  if (peer == nullptr) return;
  wire::Packet packet;
  if (!wire::Pack(std::move(frame), &packet)) return Drop(id);
  if (peer->queue.empty()) {
    int err = wire::SendPacket(peer->socket.get(), packet);
    if (err == 0) return;
    if (err != EAGAIN) return Drop(id);
  }
  if (peer->queue.size() >= kMaxQueue) return Drop(id);
  peer->queue.push_back(std::move(packet));
  peer->watch.SetEvents(EPOLLIN | EPOLLOUT);
}

bool Peers::FlushQueue(Peer* peer) {
  while (!peer->queue.empty()) {
    int err = wire::SendPacket(peer->socket.get(), peer->queue.front());
    if (err == EAGAIN) return true;
    if (err != 0) return false;
    peer->queue.pop_front();
  }
  peer->watch.SetEvents(EPOLLIN);
  return true;
}

void Peers::Broadcast(const wire::Frame& frame) {
  std::vector<uint64_t> ids;  // Send may drop some
  for (const auto& peer : peers_) {
    if (peer->greeted) ids.push_back(peer->id);
  }
  for (uint64_t id : ids) {
    wire::Frame copy;
    copy.type = frame.type;
    copy.body = frame.body;
    Send(id, std::move(copy));
  }
}

void Peers::SetGreeted(uint64_t id) {
  if (Peer* peer = Find(id)) peer->greeted = true;
}

bool Peers::Greeted(uint64_t id) const {
  Peer* peer = Find(id);
  return peer != nullptr && peer->greeted;
}

Peers::Peer* Peers::Find(uint64_t id) const {
  for (const auto& peer : peers_) {
    if (peer->id == id) return peer.get();
  }
  return nullptr;
}

void Peers::Drop(uint64_t id) {
  for (size_t i = 0; i < peers_.size(); ++i) {
    if (peers_[i]->id != id) continue;
    peers_.erase(peers_.begin() + static_cast<long>(i));
    dropped_ = true;
    return;
  }
}

}  // namespace berth::supervisor
