#include "core/supervisor/program/console.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

namespace berth::supervisor {
namespace {

// One message of any text with one descriptor. Descriptors beyond the first are not left open.
UniqueFd ReceiveDescriptor(int connection) {
  char text[256];
  iovec iov = {text, sizeof(text)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * 4)];
  msghdr message = {};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  UniqueFd found;
  if (recvmsg(connection, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0) return found;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
      int fd;
      memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
      UniqueFd owned(fd);
      if (!found) found = std::move(owned);
    }
  }
  return found;
}

bool IsTerminal(int fd) {
  int number;
  return ioctl(fd, TIOCGPTN, &number) == 0;  // a pty master, and nothing else, has a number
}

}  // namespace

Error Console::Listen(int directory_fd, const std::string& directory) {
  static int64_t next = 0;
  Close();
  directory_fd_ = directory_fd;
  name_ = "tty-" + Decimal(++next);
  path_ = Concat({directory, "/", name_});
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::string short_path = Concat({"/proc/self/fd/", Decimal(directory_fd), "/", name_});
  memcpy(address.sun_path, short_path.c_str(), short_path.size() + 1);
  listener_.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener_) return Errno("socket");
  unlinkat(directory_fd, name_.c_str(), 0);
  if (bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      fchmodat(directory_fd, name_.c_str(), 0600, 0) != 0 || listen(listener_.get(), 4) != 0) {
    return Errno(Concat({"listen on ", path_}));
  }
  return Ok();
}

Error Console::Take(UniqueFd* master) {
  if (!listener_) return Fail(wire::kInternal, "no console socket was prepared");
  while (!*master) {
    UniqueFd connection(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection) break;
    UniqueFd received = ReceiveDescriptor(connection.get());
    if (received && IsTerminal(received.get())) *master = std::move(received);
  }
  std::string path = path_;
  Close();
  if (!*master) return Fail(wire::kInternal, Concat({"the executor sent no terminal to ", path}));
  return Ok();
}

void Console::Close() {
  if (!listener_) return;
  unlinkat(directory_fd_, name_.c_str(), 0);
  listener_.reset();
  path_.clear();
}

}  // namespace berth::supervisor
