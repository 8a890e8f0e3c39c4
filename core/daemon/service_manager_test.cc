#include "core/daemon/service_manager.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace berth {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// A service manager's end of the protocol.
class ServiceManagerTest : public testing::Test {
 protected:
  void SetUp() override {
    char directory[] = "/tmp/service_manager_test.XXXXXX";
    ASSERT_NE(mkdtemp(directory), nullptr);
    path_ = absl::StrCat(directory, "/notify");
    Bind(path_, path_.size() + 1);
  }
  void TearDown() override {
    unlink(path_.c_str());
    rmdir(path_.substr(0, path_.rfind('/')).c_str());
    for (const char* variable :
         {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}) {
      EXPECT_EQ(getenv(variable), nullptr) << variable << " is for no child";
      unsetenv(variable);
    }
  }
  void Bind(const std::string& name, size_t length) {
    heard_.reset(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un address = {AF_UNIX, {}};
    std::memcpy(address.sun_path, name.data(), name.size());
    ASSERT_EQ(bind(heard_.get(), reinterpret_cast<sockaddr*>(&address),
                   static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length)),
              0);
  }
  // The next message, and the descriptor that came with it.
  std::string Next(UniqueFd* fd = nullptr) {
    char text[4096], control[256];
    iovec data{text, sizeof(text)};
    msghdr message = {};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    const ssize_t n = recvmsg(heard_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0) return "";
    if (const cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr && fd != nullptr) {
      int number;
      std::memcpy(&number, CMSG_DATA(header), sizeof(number));
      fd->reset(number);
    }
    return std::string(text, static_cast<size_t>(n));
  }

  std::string path_;
  UniqueFd heard_;
};

TEST_F(ServiceManagerTest, WithoutOneNothingHappens) {
  const ServiceManager manager = ServiceManager::FromEnvironment();
  EXPECT_FALSE(manager.present());
  manager.Ready("serving");
  EXPECT_FALSE(manager.Keep("cri", 0));
  EXPECT_EQ(manager.watchdog_ns(), 0);
  EXPECT_THAT(manager.EnvironmentForSuccessor(), IsEmpty());
}

TEST_F(ServiceManagerTest, SaysWhatTheDaemonDoes) {
  setenv("NOTIFY_SOCKET", path_.c_str(), 1);
  const ServiceManager manager = ServiceManager::FromEnvironment();
  ASSERT_TRUE(manager.present());
  manager.Ready("serving");
  EXPECT_EQ(Next(), "READY=1\nSTATUS=serving");
  manager.Reloading();
  EXPECT_THAT(Next(), StartsWith("RELOADING=1\nMONOTONIC_USEC="));
  manager.MainProcess(4711);
  EXPECT_EQ(Next(), "MAINPID=4711");
  manager.Alive();
  EXPECT_EQ(Next(), "WATCHDOG=1");
  manager.Stopping();
  EXPECT_EQ(Next(), "STOPPING=1");
  EXPECT_THAT(manager.EnvironmentForSuccessor(), ElementsAre("NOTIFY_SOCKET=" + path_));
}

TEST_F(ServiceManagerTest, AnAbstractSocketIsOneToo) {
  const std::string name = absl::StrCat("@berth-test-", getpid());
  std::string bound = name;
  bound[0] = '\0';
  Bind(bound, bound.size());
  setenv("NOTIFY_SOCKET", name.c_str(), 1);
  ServiceManager::FromEnvironment().Alive();
  EXPECT_EQ(Next(), "WATCHDOG=1");
}

TEST_F(ServiceManagerTest, OneThatIsGoneHoldsNobodyUp) {
  setenv("NOTIFY_SOCKET", path_.c_str(), 1);
  const ServiceManager manager = ServiceManager::FromEnvironment();
  heard_.reset();
  manager.Ready("serving");
  EXPECT_FALSE(manager.Keep("cri", 0));
}

TEST_F(ServiceManagerTest, KeepsACopyOfADescriptor) {
  setenv("NOTIFY_SOCKET", path_.c_str(), 1);
  const ServiceManager manager = ServiceManager::FromEnvironment();
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd in(ends[0]), out(ends[1]);
  EXPECT_TRUE(manager.Keep("cri", in.get()));
  UniqueFd kept;
  EXPECT_EQ(Next(&kept), "FDSTORE=1\nFDNAME=cri");
  ASSERT_TRUE(kept);
  ASSERT_EQ(write(out.get(), "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(read(kept.get(), &byte, 1), 1);
}

TEST_F(ServiceManagerTest, WatchesOnlyWhomItMeans) {
  setenv("WATCHDOG_USEC", "3000000", 1);
  setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
  EXPECT_EQ(ServiceManager::FromEnvironment().watchdog_ns(), 3'000'000'000);
  setenv("WATCHDOG_USEC", "3000000", 1);
  setenv("WATCHDOG_PID", "1", 1);
  EXPECT_EQ(ServiceManager::FromEnvironment().watchdog_ns(), 0);
  setenv("WATCHDOG_USEC", "3000000", 1);  // of a predecessor, which was meant
  EXPECT_THAT(ServiceManager::FromEnvironment().EnvironmentForSuccessor(), ElementsAre(HasSubstr("=3000000")));
  setenv("WATCHDOG_USEC", "soon", 1);
  EXPECT_EQ(ServiceManager::FromEnvironment().watchdog_ns(), 0);
}

TEST_F(ServiceManagerTest, SocketsAreTakenFromItsFirstNumberOn) {
  // In a process of its own, where these numbers are free to use.
  EXPECT_EXIT(
      {
        for (const int fd : {3, 4}) dup2(0, fd);
        setenv("LISTEN_FDS", "2", 1);
        setenv("LISTEN_FDNAMES", "cri:other", 1);
        setenv("LISTEN_PID", "1", 1);
        if (!ServiceManager::FromEnvironment().TakeSockets().empty()) _exit(1);
        setenv("LISTEN_FDS", "2", 1);
        setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
        ServiceManager manager = ServiceManager::FromEnvironment();
        const std::vector<UniqueFd> sockets = manager.TakeSockets();
        if (sockets.size() != 2 || sockets[0].get() != 3 || sockets[1].get() != 4) _exit(2);
        if ((fcntl(3, F_GETFD) & FD_CLOEXEC) == 0 || getenv("LISTEN_FDS") != nullptr) _exit(3);
        _exit(0);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace berth
