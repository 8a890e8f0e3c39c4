// With shell scripts in the place of a daemon: what they say goes out of descriptor 3.
#include "core/daemon/successor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/file.h"

namespace berth {
namespace {

using ::testing::HasSubstr;

class SuccessorTest : public testing::Test {
 protected:
  void SetUp() override {
    char directory[] = "/tmp/successor_test.XXXXXX";
    ASSERT_NE(mkdtemp(directory), nullptr);
    directory_ = directory;
    listener_.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  }
  void TearDown() override { EXPECT_TRUE(RemoveTree(directory_).ok()); }

  absl::StatusOr<std::unique_ptr<Successor>> Start(const std::string& script) {
    SuccessorOptions options;
    options.binary = directory_ + "/berth";
    EXPECT_TRUE(WriteFileAtomic(options.binary, "#!/bin/sh\n" + script + "\n", 0755, Durability::kVolatile).ok());
    options.config_path = "/etc/some.toml";
    options.config_text = text_;
    options.listener = listener_.get();
    options.environment = {"TOLD=yes"};
    return Successor::Start(options);
  }
  static int64_t Soon() { return MonotonicNanos() + 20'000'000'000; }
  // Whether there is such a process that has not ended.
  static bool Runs(pid_t pid) { return kill(pid, 0) == 0; }

  std::string directory_;
  UniqueFd listener_;
  std::optional<std::string> text_;
};

TEST_F(SuccessorTest, GetsItsArgumentsAndDescriptors) {
  text_ = "root = \"/x\"\n";
  auto next = Start(
      R"sh(printf 'prepared\n%s %s %s %s' "$*" "$TOLD" "$(cat <&5)" "$(readlink /proc/self/fd/4)" >&3; exec sleep 1000)sh");
  ASSERT_TRUE(next.ok()) << next.status();
  const auto said = (*next)->Expect(HandOverWord::kPrepared, Soon());
  ASSERT_TRUE(said.ok()) << said.status();
  EXPECT_THAT(*said, HasSubstr("serve --config /etc/some.toml --take-over 1 --config-descriptor 5 yes root = \"/x\" "));
  EXPECT_THAT(*said, HasSubstr("socket:["));
}

TEST_F(SuccessorTest, OneThatEndsSaysHow) {
  auto next = Start("exit 7");
  ASSERT_TRUE(next.ok());
  EXPECT_THAT((*next)->Expect(HandOverWord::kPrepared, Soon()).status().message(), HasSubstr("exit status 7"));
  next = Start("kill -SEGV $$");
  EXPECT_THAT((*next)->Expect(HandOverWord::kPrepared, Soon()).status().message(), HasSubstr("signal 11"));
  next = Start("printf 'failed\\nthe disk is full' >&3; exit 1");
  EXPECT_EQ((*next)->Expect(HandOverWord::kPrepared, Soon()).status().message(), "the disk is full");
}

TEST_F(SuccessorTest, OneThatIsNotThereCannotStart) {
  SuccessorOptions options;
  options.binary = directory_ + "/none";
  options.listener = listener_.get();
  EXPECT_EQ(Successor::Start(options).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(SuccessorTest, EndsWithItsHandleUnlessItIsOnItsOwn) {
  auto next = Start("printf 'prepared\\n' >&3; exec sleep 1000");
  ASSERT_TRUE(next.ok());
  ASSERT_TRUE((*next)->Expect(HandOverWord::kPrepared, Soon()).ok());
  pid_t pid = (*next)->pid();
  next->reset();
  EXPECT_FALSE(Runs(pid));

  next = Start("printf 'prepared\\n' >&3; exec sleep 1000");
  ASSERT_TRUE((*next)->Expect(HandOverWord::kPrepared, Soon()).ok());
  pid = (*next)->pid();
  (*next)->LetGo();
  next->reset();
  EXPECT_TRUE(Runs(pid));
  kill(pid, SIGKILL);
}

}  // namespace
}  // namespace berth
