#include "core/daemon/hand_over_channel.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <optional>
#include <thread>

#include "core/base/clock.h"

namespace berth {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

class HandOverChannelTest : public testing::Test {
 protected:
  void SetUp() override {
    auto pair = HandOverChannel::MakePair();
    ASSERT_TRUE(pair.ok()) << pair.status();
    old_.emplace(std::move(pair->first));
    raw_ = pair->second.get();
    next_.emplace(std::move(pair->second));
  }
  static int64_t Soon() { return MonotonicNanos() + 20 * kSecond; }

  std::optional<HandOverChannel> old_, next_;
  int raw_ = -1;
};

TEST_F(HandOverChannelTest, WordsComeInOrderWithTheirTexts) {
  ASSERT_TRUE(next_->Say(HandOverWord::kPrepared, "/a\n/b").ok());
  ASSERT_TRUE(next_->Say(HandOverWord::kRecovered).ok());
  EXPECT_EQ(*old_->Expect(HandOverWord::kPrepared, Soon()), "/a\n/b");
  EXPECT_EQ(*old_->Expect(HandOverWord::kRecovered, Soon()), "");
}

TEST_F(HandOverChannelTest, AFailureSaysWhy) {
  ASSERT_TRUE(next_->Say(HandOverWord::kFailed, "bad.toml:3: no such key").ok());
  const auto heard = old_->Expect(HandOverWord::kPrepared, Soon());
  EXPECT_EQ(heard.status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(heard.status().message(), "bad.toml:3: no such key");
}

TEST_F(HandOverChannelTest, AnotherWordIsAnError) {
  ASSERT_TRUE(old_->Say(HandOverWord::kAccept).ok());
  EXPECT_EQ(next_->Expect(HandOverWord::kTakeOver, Soon()).status().code(), absl::StatusCode::kInternal);
  const std::string garbage(100, '\xff');
  ASSERT_EQ(send(raw_, garbage.data(), garbage.size(), 0), 100);
  EXPECT_EQ(old_->Expect(HandOverWord::kPrepared, Soon()).status().code(), absl::StatusCode::kInternal);
}

TEST_F(HandOverChannelTest, SilenceEndsAtTheDeadline) {
  EXPECT_EQ(old_->Expect(HandOverWord::kPrepared, MonotonicNanos() + kSecond / 100).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_F(HandOverChannelTest, TheOthersEndIsNoticed) {
  std::thread end([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    next_.reset();
  });
  EXPECT_EQ(old_->Expect(HandOverWord::kPrepared, Soon()).status().code(), absl::StatusCode::kUnavailable);
  end.join();
  EXPECT_EQ(old_->Say(HandOverWord::kTakeOver).code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace berth
