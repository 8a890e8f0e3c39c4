// What an OCI executor looks like to the supervisor, without any container: `fake_executor PIDFILE CONSOLE SCRIPT`
// leaves a shell behind that is its child no more once it ends, writes the shell's pid, and waits for nothing. With a
// CONSOLE other than "-" the shell gets a new terminal whose master is sent to that socket.
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <string>

namespace {

bool SendMaster(const char* path, int master) {
  int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
  if (connect(s, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return false;
  char text[] = "/dev/pts/0";
  iovec iov = {text, sizeof(text)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(c), &master, sizeof(int));
  return sendmsg(s, &message, 0) > 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  int master = -1, slave = -1;
  if (strcmp(argv[2], "-") != 0 &&
      (openpty(&master, &slave, nullptr, nullptr, nullptr) != 0 || !SendMaster(argv[2], master))) {
    perror("console");
    return 1;
  }
  pid_t pid = fork();
  if (pid == 0) {
    setsid();
    if (slave >= 0) {
      ioctl(slave, TIOCSCTTY, 0);
      for (int fd = 0; fd <= 2; ++fd) dup2(slave, fd);
      close(slave);
      close(master);
    }
    execl("/bin/sh", "sh", "-c", argv[3], nullptr);
    _exit(127);
  }
  std::string number = std::to_string(pid);
  int fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0600);
  return pid > 0 && fd >= 0 && write(fd, number.data(), number.size()) == static_cast<ssize_t>(number.size()) ? 0 : 1;
}
