#include "core/daemon/service_manager.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/status.h"

namespace berth {
namespace {

constexpr int kFirstPassed = 3;  // SD_LISTEN_FDS_START
constexpr int kMostPassed = 64;
constexpr timeval kSendTimeout{1, 0};

std::string Take(const char* variable) {
  const char* value = getenv(variable);
  std::string taken = value == nullptr ? "" : value;
  unsetenv(variable);
  return taken;
}

// A variable that is for another process, as PIDs tell, is not for us.
bool IsForUs(const std::string& pid) { return pid.empty() || pid == std::to_string(getpid()); }

}  // namespace

ServiceManager ServiceManager::FromEnvironment() {
  ServiceManager manager;
  manager.socket_ = Take("NOTIFY_SOCKET");
  const std::string watchdog = Take("WATCHDOG_USEC"), watchdog_pid = Take("WATCHDOG_PID");
  int64_t micros = 0;
  if (IsForUs(watchdog_pid) && absl::SimpleAtoi(watchdog, &micros) && micros > 0) manager.watchdog_ns_ = micros * 1000;
  const std::string passed = Take("LISTEN_FDS"), passed_pid = Take("LISTEN_PID");
  Take("LISTEN_FDNAMES");
  int count = 0;
  if (passed_pid.empty() || !IsForUs(passed_pid) || !absl::SimpleAtoi(passed, &count)) return manager;
  for (int i = 0; i < std::min(count, kMostPassed); ++i) {
    const int fd = kFirstPassed + i;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0) manager.sockets_.emplace_back(fd);
  }
  return manager;
}

bool ServiceManager::Send(absl::string_view text, int fd) const {
  if (socket_.empty()) return false;
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (socket_.size() >= sizeof(address.sun_path)) return false;
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';  // an abstract one
  const UniqueFd sender(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!sender) return false;
  setsockopt(sender.get(), SOL_SOCKET, SO_SNDTIMEO, &kSendTimeout, sizeof(kSendTimeout));
  iovec data{const_cast<char*>(text.data()), text.size()};
  msghdr message = {};
  message.msg_name = &address;
  message.msg_namelen = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd, sizeof(fd));
  }
  if (sendmsg(sender.get(), &message, MSG_NOSIGNAL) >= 0) return true;
  LogWarn("tell the service manager", {{"error", ErrnoStatus(absl::StrCat("send to ", socket_)).message()}});
  return false;
}

void ServiceManager::Ready(absl::string_view status) const { Send(absl::StrCat("READY=1\nSTATUS=", status)); }

void ServiceManager::Reloading() const {
  Send(absl::StrCat("RELOADING=1\nMONOTONIC_USEC=", MonotonicNanos() / 1000, "\nSTATUS=handing over to a successor"));
}

void ServiceManager::MainProcess(pid_t pid) const { Send(absl::StrCat("MAINPID=", pid)); }

bool ServiceManager::Keep(absl::string_view name, int fd) const {
  return Send(absl::StrCat("FDSTORE=1\nFDNAME=", name), fd);
}

std::vector<std::string> ServiceManager::EnvironmentForSuccessor() const {
  std::vector<std::string> environment;
  if (!socket_.empty()) environment.push_back("NOTIFY_SOCKET=" + socket_);
  if (watchdog_ns_ > 0) environment.push_back(absl::StrCat("WATCHDOG_USEC=", watchdog_ns_ / 1000));
  return environment;
}

}  // namespace berth
