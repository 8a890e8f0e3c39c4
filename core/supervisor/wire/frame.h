// One message on the SOCK_SEQPACKET socket: a fixed header, then the body; a body that does not fit travels as a sealed
// memfd, the first of the descriptors. Anything else than exactly that is an error after which the connection is ended.
#ifndef BERTH_CORE_SUPERVISOR_WIRE_FRAME_H_
#define BERTH_CORE_SUPERVISOR_WIRE_FRAME_H_

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/unique_fd.h"
#include "core/supervisor/wire/codec.h"
#include "core/supervisor/wire/messages.h"

namespace berth::wire {

inline constexpr uint32_t kMagic = 0x50555342;  // "BSUP"
inline constexpr size_t kMaxPacket = 64 << 10;
inline constexpr size_t kMaxInline = 32 << 10;  // of a body; keeps room for the socket's own overhead
inline constexpr size_t kMaxBody = 4 << 20;
inline constexpr size_t kMaxDescriptors = 8;

struct Header {
  uint32_t magic = kMagic;
  uint16_t version = kVersion;
  uint16_t type = 0;
  uint64_t request = 0;  // chosen by the daemon, repeated in the reply; 0 in events
  uint32_t code = 0;     // of a reply
  uint32_t size = 0;     // of the body
  uint32_t in_memfd = 0;
  uint32_t descriptors = 0;  // without the memfd
};
static_assert(sizeof(Header) == 32);

struct Frame {
  Type type = Type::kHello;
  uint64_t request = 0;
  uint32_t code = kOk;
  std::string body;
  std::vector<UniqueFd> descriptors;
};

template <class M>
Frame MakeFrame(Type type, uint64_t request, const M& message) {
  Frame frame;
  frame.type = type;
  frame.request = request;
  frame.body = Encode(message);
  return frame;
}

// A frame as it goes on the wire. `memfd` is valid when the body is in it.
struct Packet {
  std::string bytes;
  std::vector<UniqueFd> descriptors;  // the memfd first
};

// Takes the frame's descriptors. False (errno set) when the body is too large or there is no memory for a memfd.
bool Pack(Frame&& frame, Packet* packet);

// One sendmsg(2) that never blocks: 0 or an errno (EAGAIN: the socket is full, nothing was sent).
int SendPacket(int socket, const Packet& packet);

enum class Received : uint8_t { kFrame, kNothing, kEnd, kMalformed, kError };

// Never blocks; one reader of a socket at a time. kError leaves errno; kMalformed: the peer does not speak this
// protocol. After both there is no going on with the connection.
Received ReceiveFrame(int socket, Frame* frame);

// Checks a packet as it was received, descriptors included; for ReceiveFrame and its tests.
bool Unpack(std::string_view bytes, std::vector<UniqueFd>&& descriptors, Frame* frame);

}  // namespace berth::wire

#endif  // BERTH_CORE_SUPERVISOR_WIRE_FRAME_H_
