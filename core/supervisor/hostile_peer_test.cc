// A peer that does not keep to the protocol, at a live supervisor: it is hung up on, and nobody else notices.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <random>

#include "absl/strings/str_cat.h"
#include "core/supervisor/supervisor_fixture.h"
#include "core/supervisor/wire/frame.h"

namespace berth {
namespace {

class HostilePeerTest : public SupervisorTest {
 protected:
  void SetUp() override {
    SupervisorTest::SetUp();
    Launch(Spec());
    ASSERT_NE(supervisor_, nullptr);
  }

  UniqueFd Connect() {
    UniqueFd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    strncpy(address.sun_path, absl::StrCat(spec_.directory, "/", wire::kSocketName).c_str(),
            sizeof(address.sun_path) - 1);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    timeval limit = {5, 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    return fd;
  }

  UniqueFd ConnectAndGreet() {
    UniqueFd fd = Connect();
    Send(fd.get(), wire::MakeFrame(wire::Type::kHello, 1, wire::Hello()));
    char reply[4096];
    EXPECT_GT(recv(fd.get(), reply, sizeof(reply), 0), 0);
    return fd;
  }

  static void Send(int fd, wire::Frame&& frame) {
    wire::Packet packet;
    ASSERT_TRUE(wire::Pack(std::move(frame), &packet));
    wire::SendPacket(fd, packet);
  }

  static bool HungUp(int fd) {
    char byte[4096];
    ssize_t n;
    while ((n = recv(fd, byte, sizeof(byte), 0)) > 0) {
    }
    return n == 0 || errno == ECONNRESET;
  }
};

TEST_F(HostilePeerTest, RequestBeforeHello) {
  UniqueFd fd = Connect();
  Send(fd.get(), wire::MakeFrame(wire::Type::kList, 1, wire::Empty()));
  EXPECT_TRUE(HungUp(fd.get()));
}

TEST_F(HostilePeerTest, BodyOfAnotherMessage) {
  UniqueFd fd = ConnectAndGreet();
  Send(fd.get(), wire::MakeFrame(wire::Type::kRun, 2, wire::Target{"a", "b"}));
  EXPECT_TRUE(HungUp(fd.get()));
}

TEST_F(HostilePeerTest, DescriptorsNobodyAskedFor) {
  size_t before = Descriptors();
  UniqueFd fd = ConnectAndGreet();
  wire::Frame frame = wire::MakeFrame(wire::Type::kList, 2, wire::Empty());
  frame.descriptors.emplace_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
  Send(fd.get(), std::move(frame));
  EXPECT_TRUE(HungUp(fd.get()));
  for (int i = 0; i < 300 && Descriptors() != before; ++i) usleep(10000);
  EXPECT_EQ(Descriptors(), before);
}

TEST_F(HostilePeerTest, UnknownRequestIsAnsweredAsSuch) {
  UniqueFd fd = ConnectAndGreet();
  Send(fd.get(), wire::MakeFrame(static_cast<wire::Type>(99), 2, wire::Empty()));
  usleep(50000);
  wire::Frame reply;
  ASSERT_EQ(wire::ReceiveFrame(fd.get(), &reply), wire::Received::kFrame);
  EXPECT_EQ(reply.code, static_cast<uint32_t>(wire::kUnimplemented));
}

TEST_F(HostilePeerTest, PeerThatDoesNotReadIsDropped) {
  UniqueFd fd = ConnectAndGreet();
  int sent = 0;
  for (; sent < 100000; ++sent) {
    wire::Packet packet;
    ASSERT_TRUE(
        wire::Pack(wire::MakeFrame(wire::Type::kList, static_cast<uint64_t>(sent + 2), wire::Empty()), &packet));
    int err = wire::SendPacket(fd.get(), packet);
    if (err == EAGAIN)
      usleep(1000);
    else if (err != 0)
      break;
  }
  EXPECT_LT(sent, 100000) << "it is hung up on";
  EXPECT_TRUE(supervisor_->List(Within(5)).ok());
}

TEST_F(HostilePeerTest, MutatedRequests) {
  std::mt19937 random(99);
  size_t descriptors = Descriptors();
  wire::Run run;
  run.purpose = wire::kCreate;
  run.container_id = "c";
  run.pid_file = Path("pid");
  run.argv = {"/bin/true"};
  wire::PrepareContainer prepare;
  prepare.id = "c";
  prepare.rootfs = Path("none");
  prepare.mounts = {{"", "/nowhere", "", {"bind"}}};
  const std::pair<wire::Type, std::string> seeds[] = {
      {wire::Type::kRun, wire::Encode(run)},
      {wire::Type::kPrepareContainer, wire::Encode(prepare)},
      {wire::Type::kPrepareExec, wire::Encode(wire::PrepareExec{"c", "e", false, true, true, true})},
      {wire::Type::kSignal, wire::Encode(wire::Signal{"c", "", 9})},
      {wire::Type::kForget, wire::Encode(wire::Target{"c", ""})}};
  for (int i = 0; i < 1500; ++i) {
    UniqueFd fd = ConnectAndGreet();
    wire::Frame frame;
    std::tie(frame.type, frame.body) = seeds[random() % std::size(seeds)];
    frame.request = 2;
    size_t at = random() % frame.body.size();
    if (random() % 2 == 0)
      frame.body[at] = static_cast<char>(random());
    else
      frame.body.resize(at);
    wire::Packet packet;
    ASSERT_TRUE(wire::Pack(std::move(frame), &packet));
    if (random() % 3 == 0) packet.bytes[random() % sizeof(wire::Header)] = static_cast<char>(random());
    wire::SendPacket(fd.get(), packet);
  }
  auto list = supervisor_->List(Within(10));
  ASSERT_TRUE(list.ok()) << list.status();
  for (const SupervisedProcess& p : *list) {
    EXPECT_TRUE(supervisor_->Forget(Within(5), p.container_id, "").ok()) << p.container_id;
  }
  for (int i = 0; i < 500 && Descriptors() != descriptors; ++i) usleep(10000);
  EXPECT_EQ(Descriptors(), descriptors);
  for (int i = 0; i < 500 && !ChildrenOf(supervisor_->pid()).empty(); ++i) usleep(10000);
  EXPECT_TRUE(ChildrenOf(supervisor_->pid()).empty());
}

}  // namespace
}  // namespace berth
