// The daemon under a service manager that speaks systemd's protocol: the test's own.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/unique_fd.h"
#include "tools/integration/isolation.h"
#include "tools/integration/upgrade_fixture.h"

namespace berth {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int kOutOfTheWay = 40;

class ServiceManagerTest : public UpgradeFixture {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(MakePlace());
    path_ = TheWorld().directory + "/notify";
    unlink(path_.c_str());
    heard_.reset(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un address = {AF_UNIX, {}};
    std::memcpy(address.sun_path, path_.data(), path_.size());
    ASSERT_EQ(bind(heard_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    const timeval patience{30, 0};
    setsockopt(heard_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  }

  // The next message that starts so; others may come before.
  std::string Next(const std::string& start) {
    for (;;) {
      char text[4096];
      alignas(cmsghdr) char control[256];
      iovec data{text, sizeof(text)};
      msghdr message = {};
      message.msg_iov = &data;
      message.msg_iovlen = 1;
      message.msg_control = control;
      message.msg_controllen = sizeof(control);
      const ssize_t n = recvmsg(heard_.get(), &message, MSG_CMSG_CLOEXEC);
      if (n < 0) return "nothing";
      if (const cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr) {
        int number;
        std::memcpy(&number, CMSG_DATA(header), sizeof(number));
        kept_.reset(number);
      }
      if (std::string said(text, static_cast<size_t>(n)); absl::StartsWith(said, start)) return said;
    }
  }

  // Starts the daemon as the manager's service, with the socket that it keeps if there is one.
  void StartService(const std::string& more = "") {
    std::string script = "exec ";
    UniqueFd passed;
    if (kept_) {
      passed.reset(fcntl(kept_.get(), F_DUPFD, kOutOfTheWay));  // for the shell, which closes nothing
      script = absl::StrCat("exec 3<&", passed.get(), " ", passed.get(),
                            "<&-; LISTEN_FDS=1 LISTEN_FDNAMES=cri LISTEN_PID=$$ exec ");
    }
    auto daemon = DaemonProcess::Start(
        {"/bin/bash", "-c",
         absl::StrCat(script, BuiltDaemon(TheWorld().runfiles), " serve --config ", place_->config())},
        place_->daemon_log(), {"NOTIFY_SOCKET=" + path_, more.empty() ? "NOTHING=" : more});
    ASSERT_OK(daemon);
    daemon_ = *std::move(daemon);
  }

  std::string path_;
  UniqueFd heard_, kept_;
};

TEST_F(ServiceManagerTest, AStopAndAStartKeepTheSocket) {
  ASSERT_NO_FATAL_FAILURE(StartService());
  EXPECT_EQ(Next("FDSTORE=1"), "FDSTORE=1\nFDNAME=cri");
  ASSERT_TRUE(kept_);
  EXPECT_THAT(Next("READY=1"), HasSubstr("STATUS=serving"));
  EXPECT_OK(CriClient(place_->socket()).Version({}));
  for (int round = 0; round < 3; ++round) {
    const auto status = daemon_.Terminate(absl::Seconds(30));
    ASSERT_OK(status);
    EXPECT_EQ(*status, 0);
    EXPECT_EQ(Next("STOPPING=1"), "STOPPING=1");
    absl::Status answered = absl::UnknownError("none");
    std::thread waiting([&] { answered = CriClient(place_->socket()).Version({}).status(); });
    absl::SleepFor(absl::Milliseconds(500));
    ASSERT_NO_FATAL_FAILURE(StartService());
    EXPECT_THAT(Next("READY=1"), HasSubstr("serving"));
    waiting.join();
    EXPECT_OK(answered) << "asked while no daemon ran";
  }
}

TEST_F(ServiceManagerTest, AnUpgradeNamesTheNewMainProcess) {
  ASSERT_NO_FATAL_FAILURE(StartService());
  EXPECT_THAT(Next("READY=1"), HasSubstr("serving"));
  client_ = std::make_unique<CriClient>(place_->socket());
  EXPECT_OK(Upgrade());
  EXPECT_THAT(Next("RELOADING=1"), StartsWith("RELOADING=1\nMONOTONIC_USEC="));
  EXPECT_EQ(Next("MAINPID="), absl::StrCat("MAINPID=", daemon_.pid()));
  EXPECT_THAT(Next("READY=1"), HasSubstr("serving"));
  EXPECT_FALSE(Upgrade("/bin/false").ok());
  EXPECT_THAT(Next("RELOADING=1"), StartsWith("RELOADING=1"));
  EXPECT_THAT(Next("READY=1"), HasSubstr("serving")) << "as before";
  EXPECT_OK(client().Version({}));
  ExpectRetired();
}

TEST_F(ServiceManagerTest, TheWatchdogHearsFromTheDaemonAndItsSuccessor) {
  ASSERT_NO_FATAL_FAILURE(StartService("WATCHDOG_USEC=200000"));
  EXPECT_THAT(Next("READY=1"), HasSubstr("serving"));
  client_ = std::make_unique<CriClient>(place_->socket());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Next("WATCHDOG=1"), "WATCHDOG=1");
  EXPECT_OK(Upgrade());
  EXPECT_THAT(Next("READY=1"), HasSubstr("serving"));
  ExpectRetired();
  for (int i = 0; i < 30; ++i) EXPECT_EQ(Next("WATCHDOG=1"), "WATCHDOG=1");
}

TEST_F(ServiceManagerTest, ASocketThatIsNotOursIsNotUsed) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd other(ends[1]);
  kept_.reset(ends[0]);
  ASSERT_NO_FATAL_FAILURE(StartService());
  EXPECT_EQ(Next("FDSTORE=1"), "FDSTORE=1\nFDNAME=cri") << "it has made its own";
  EXPECT_OK(CriClient(place_->socket()).WaitUntilServing(absl::Seconds(30)));
  EXPECT_THAT(DaemonLog(), HasSubstr("is not used"));
}

}  // namespace
}  // namespace berth
