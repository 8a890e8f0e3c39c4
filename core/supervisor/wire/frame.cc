#include "core/supervisor/wire/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <utility>

namespace berth::wire {
namespace {

constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

bool BodyToMemfd(const std::string& body, UniqueFd* out) {
  constexpr unsigned kNoExec = 0x8;  // MFD_NOEXEC_SEAL, Linux 6.3: vm.memfd_noexec=2 allows nothing else
  UniqueFd memfd(memfd_create("berth-message", MFD_CLOEXEC | MFD_ALLOW_SEALING | kNoExec));
  if (!memfd && errno == EINVAL) memfd.reset(memfd_create("berth-message", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memfd) return false;
  for (size_t done = 0; done < body.size();) {
    ssize_t n = write(memfd.get(), body.data() + done, body.size() - done);
    if (n < 0) return false;
    done += static_cast<size_t>(n);
  }
  if (fcntl(memfd.get(), F_ADD_SEALS, kSeals) != 0) return false;
  *out = std::move(memfd);
  return true;
}

// Sealed, so its size and contents can't change under us: reading a sealed memfd neither blocks nor faults.
bool BodyFromMemfd(int memfd, size_t size, std::string* body) {
  int seals = fcntl(memfd, F_GET_SEALS);
  struct stat st;
  if (seals < 0 || (seals & kSeals) != kSeals || fstat(memfd, &st) != 0) return false;
  if (size > kMaxBody || st.st_size != static_cast<off_t>(size)) return false;
  body->resize(size);
  for (size_t done = 0; done < size;) {
    ssize_t n = pread(memfd, body->data() + done, size - done, static_cast<off_t>(done));
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

union Control {
  char bytes[CMSG_SPACE(sizeof(int) * (kMaxDescriptors + 1))];
  cmsghdr align;
};

// Every descriptor the kernel installed, so that none leaks whatever the packet turns out to be.
std::vector<UniqueFd> TakeDescriptors(msghdr* message) {
  std::vector<UniqueFd> taken;
  for (cmsghdr* c = CMSG_FIRSTHDR(message); c != nullptr; c = CMSG_NXTHDR(message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
      taken.emplace_back(fd);
    }
  }
  return taken;
}

Received NothingCame() {
  if (errno == EAGAIN) return Received::kNothing;
  return errno == ECONNRESET ? Received::kEnd : Received::kError;
}

}  // namespace

bool Pack(Frame&& frame, Packet* packet) {
  if (frame.body.size() > kMaxBody || frame.descriptors.size() > kMaxDescriptors) {
    errno = EMSGSIZE;
    return false;
  }
  Header header;
  header.type = static_cast<uint16_t>(frame.type);
  header.request = frame.request;
  header.code = frame.code;
  header.size = static_cast<uint32_t>(frame.body.size());
  header.descriptors = static_cast<uint32_t>(frame.descriptors.size());
  packet->descriptors.clear();
  if (frame.body.size() > kMaxInline) {
    header.in_memfd = 1;
    packet->descriptors.emplace_back();
    if (!BodyToMemfd(frame.body, &packet->descriptors.back())) return false;
  }
  for (UniqueFd& fd : frame.descriptors) packet->descriptors.push_back(std::move(fd));
  packet->bytes.assign(reinterpret_cast<const char*>(&header), sizeof(header));
  if (header.in_memfd == 0) packet->bytes.append(frame.body);
  return true;
}

int SendPacket(int socket, const Packet& packet) {
  iovec iov = {const_cast<char*>(packet.bytes.data()), packet.bytes.size()};
  Control control = {};
  msghdr message = {};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  if (!packet.descriptors.empty()) {
    size_t bytes = packet.descriptors.size() * sizeof(int);
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(bytes);
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(bytes);
    for (size_t i = 0; i < packet.descriptors.size(); ++i) {
      int fd = packet.descriptors[i].get();
      std::memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(int));
    }
  }
  while (sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

Received ReceiveFrame(int socket, Frame* frame) {
  ssize_t n;
  do {
    n = recv(socket, nullptr, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return NothingCame();
  if (static_cast<size_t>(n) > kMaxPacket) return Received::kMalformed;
  // On the heap, only while it is needed and no larger: a supervisor sleeps most of its life and should stay small.
  const size_t size = static_cast<size_t>(n);
  std::string buffer(size, '\0');
  iovec iov = {buffer.data(), size};
  Control control = {};
  msghdr message = {};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof(control.bytes);
  do {
    n = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return NothingCame();
  std::vector<UniqueFd> descriptors = TakeDescriptors(&message);
  if (n == 0) return Received::kEnd;
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return Received::kMalformed;
  return Unpack({buffer.data(), static_cast<size_t>(n)}, std::move(descriptors), frame) ? Received::kFrame
                                                                                        : Received::kMalformed;
}

bool Unpack(std::string_view bytes, std::vector<UniqueFd>&& descriptors, Frame* frame) {
  Header header;
  if (bytes.size() < sizeof(header)) return false;
  std::memcpy(&header, bytes.data(), sizeof(header));
  bytes.remove_prefix(sizeof(header));
  if (header.magic != kMagic || header.version == 0 || header.in_memfd > 1 || header.code > kMaxCode) return false;
  if (header.descriptors > kMaxDescriptors || descriptors.size() != header.descriptors + header.in_memfd) return false;
  if (bytes.size() != (header.in_memfd ? 0 : header.size)) return false;
  frame->type = static_cast<Type>(header.type);
  frame->request = header.request;
  frame->code = header.code;
  frame->body.assign(bytes);
  if (header.in_memfd) {
    if (!BodyFromMemfd(descriptors[0].get(), header.size, &frame->body)) return false;
    descriptors.erase(descriptors.begin());
  }
  frame->descriptors = std::move(descriptors);
  return true;
}

}  // namespace berth::wire
