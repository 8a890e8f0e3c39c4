#include "core/image/pull_channel.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "core/base/file.h"
#include "gtest/gtest.h"
#include "proto/berth/pull/v1/pull.pb.h"

namespace berth {
namespace {

class PullChannelTest : public testing::Test {
 protected:
  void SetUp() override {
    int fds[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    a_.reset(fds[0]);
    b_.reset(fds[1]);
  }

  static pull::v1::FromWorker Progress(uint64_t bytes) {
    pull::v1::FromWorker message;
    message.mutable_progress()->set_bytes(bytes);
    return message;
  }

  UniqueFd a_, b_;
};

TEST_F(PullChannelTest, FramesAndDescriptorsArriveInOrder) {
  PullChannel sender(a_.get()), receiver(b_.get());
  for (int i = 0; i < 3; ++i) {
    UniqueFd fd(memfd_create("test", MFD_CLOEXEC));
    ASSERT_TRUE(WriteAll(fd.get(), std::string(1, static_cast<char>('0' + i))).ok());
    ASSERT_TRUE(sender.Send(Progress(i), i == 1 ? -1 : fd.get()).ok());
  }
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(receiver.ReadAvailable().ok());
  for (uint64_t i = 0; i < 3; ++i) {
    pull::v1::FromWorker message;
    const auto frame = receiver.NextFrame();
    ASSERT_TRUE(frame && message.ParseFromString(*frame));
    EXPECT_EQ(message.progress().bytes(), i);
  }
  EXPECT_FALSE(receiver.NextFrame());
  for (const char* expected : {"0", "2"}) {
    const UniqueFd fd = receiver.NextDescriptor();
    ASSERT_TRUE(fd.valid());
    EXPECT_TRUE((fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
    ASSERT_EQ(lseek(fd.get(), 0, SEEK_SET), 0);
    EXPECT_EQ(*ReadAll(fd.get()), expected);
  }
  EXPECT_FALSE(receiver.NextDescriptor().valid());
}

TEST_F(PullChannelTest, AFrameLargerThanTheSocketsBuffer) {
  PullChannel sender(a_.get()), receiver(b_.get());
  pull::v1::FromWorker message;
  message.mutable_resolved()->set_manifest(std::string(5 << 20, 'm'));
  std::thread thread([&] { EXPECT_TRUE(sender.Send(message).ok()); });
  std::optional<std::string> frame;
  while (!(frame = receiver.NextFrame())) ASSERT_TRUE(receiver.ReadAvailable().ok());
  thread.join();
  pull::v1::FromWorker got;
  ASSERT_TRUE(got.ParseFromString(*frame));
  EXPECT_EQ(got.resolved().manifest().size(), 5u << 20);
}

TEST_F(PullChannelTest, OversizedFramesAndAClosedEndAreErrors) {
  PullChannel receiver(b_.get());
  ASSERT_TRUE(WriteAll(a_.get(), "\xff\xff\xff\xff").ok());
  EXPECT_TRUE(absl::IsInvalidArgument(receiver.ReadAvailable()));
  a_.reset();
  EXPECT_TRUE(absl::IsUnavailable(receiver.ReadAvailable()));
  EXPECT_TRUE(absl::IsUnavailable(receiver.Send(Progress(1))));
}

TEST_F(PullChannelTest, AnEndThatDoesNotReadIsGivenUp) {
  const timeval timeout{0, 50'000};
  ASSERT_EQ(setsockopt(a_.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)), 0);
  PullChannel sender(a_.get());
  pull::v1::FromWorker message;
  message.mutable_resolved()->set_manifest(std::string(5 << 20, 'm'));
  EXPECT_TRUE(absl::IsDeadlineExceeded(sender.Send(message)));
}

}  // namespace
}  // namespace berth
