#include "core/supervisor/program/log_writer.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace berth::supervisor {
namespace {

class LogWriterTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/berth-log-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    dir_ = name;
    path_ = dir_ + "/0.log";
  }
  void TearDown() override {
    unlink(path_.c_str());
    rmdir(dir_.c_str());
  }

  std::string Contents() const {
    std::string text;
    EXPECT_TRUE(ReadFile(path_.c_str(), 64 << 20, &text).ok());
    return text;
  }
  // The lines without their times.
  std::vector<std::string> Lines() const {
    std::vector<std::string> lines;
    std::string text = Contents();
    for (size_t at = 0; at < text.size();) {
      size_t end = text.find('\n', at);
      EXPECT_NE(end, std::string::npos) << "every record ends with a line feed";
      EXPECT_EQ(text.substr(at + 29, 2), "Z ");
      lines.push_back(text.substr(at + 31, end - at - 31));
      at = end + 1;
    }
    return lines;
  }

  std::string dir_, path_;
  LogWriter log_;
};

using Strings = std::vector<std::string>;

TEST_F(LogWriterTest, LinesOfBothStreams) {
  ASSERT_TRUE(log_.Open(path_, false).ok());
  log_.Write(LogStream::kStdout, "one\ntwo\n\nth");
  log_.Write(LogStream::kStderr, "err\n");
  log_.Write(LogStream::kStdout, "ree\r\nrest");
  log_.Finish(LogStream::kStdout);
  log_.Finish(LogStream::kStderr);
  EXPECT_EQ(Lines(), (Strings{"stdout F one", "stdout F two", "stdout F ", "stderr F err", "stdout F three\r",
                              "stdout P rest"}));
  struct stat st;
  ASSERT_EQ(stat(path_.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0640u);
}

TEST_F(LogWriterTest, TerminalLinesLoseTheirCarriageReturn) {
  ASSERT_TRUE(log_.Open(path_, true).ok());
  log_.Write(LogStream::kStdout, "one\r\n\r\ntwo\r");
  log_.Write(LogStream::kStdout, "\nin\rside\n");
  EXPECT_EQ(Lines(), (Strings{"stdout F one", "stdout F ", "stdout F two", "stdout F in\rside"}));
}

TEST_F(LogWriterTest, LongLinesAreCutWhateverTheReads) {
  for (size_t length :
       {kLogPartLimit - 1, kLogPartLimit, kLogPartLimit + 1, 2 * kLogPartLimit, 2 * kLogPartLimit + 5}) {
    for (size_t piece : {size_t{1}, size_t{100}, size_t{4096}, kLogPartLimit, size_t{65536}}) {
      unlink(path_.c_str());
      LogWriter log;
      ASSERT_TRUE(log.Open(path_, false).ok());
      std::string text = std::string(length, 'x') + "\nnext\n";
      for (size_t at = 0; at < text.size(); at += piece) log.Write(LogStream::kStdout, text.substr(at, piece));
      Strings expected;
      size_t rest = length;
      for (; rest > kLogPartLimit; rest -= kLogPartLimit)
        expected.push_back("stdout P " + std::string(kLogPartLimit, 'x'));
      expected.push_back("stdout F " + std::string(rest, 'x'));
      expected.push_back("stdout F next");
      EXPECT_EQ(Lines(), expected) << length << " by " << piece;
    }
  }
}

TEST_F(LogWriterTest, ManyLinesAtOnce) {
  ASSERT_TRUE(log_.Open(path_, false).ok());
  std::string text;
  for (int i = 0; i < 20000; ++i) text += std::to_string(i) + "\n";
  for (size_t at = 0; at < text.size(); at += 65536) log_.Write(LogStream::kStdout, text.substr(at, 65536));
  Strings lines = Lines();
  ASSERT_EQ(lines.size(), 20000u);
  for (int i = 0; i < 20000; ++i) ASSERT_EQ(lines[static_cast<size_t>(i)], "stdout F " + std::to_string(i));
}

TEST_F(LogWriterTest, FullDeviceDropsAndCounts) {
  // /dev/full is no regular file, so it can't be a log; a limit on file sizes fails writes as well.
  ASSERT_TRUE(log_.Open(path_, false).ok());
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "0123456789\n";
  pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    rlimit limit = {10000, RLIM_INFINITY};
    setrlimit(RLIMIT_FSIZE, &limit);
    log_.Write(LogStream::kStdout, text);
    uint64_t first = log_.dropped_lines();
    limit.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &limit);
    log_.Write(LogStream::kStdout, "again\n");
    _exit(first > 0 && log_.dropped_lines() == first ? 0 : 1);
  }
  int status;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  std::string contents = Contents();
  EXPECT_TRUE(contents.size() > 10000);
  EXPECT_EQ(contents.substr(contents.size() - 15), "stdout F again\n");
  // The line that was torn by the full disk is ended before the next begins.
  EXPECT_EQ(contents[10000], '\n');
}

TEST_F(LogWriterTest, RefusesWhatIsNoFile) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_FALSE(log_.Open(path_, false).ok());
  unlink(path_.c_str());
  EXPECT_FALSE(log_.Open("/dev/null", false).ok());
  EXPECT_FALSE(log_.Open(dir_, false).ok());
  ASSERT_EQ(symlink("/tmp/berth-no-such-file", path_.c_str()), 0);
  EXPECT_FALSE(log_.Open(path_, false).ok());
  EXPECT_NE(access("/tmp/berth-no-such-file", F_OK), 0);
}

TEST_F(LogWriterTest, NoPathDiscards) {
  ASSERT_TRUE(log_.Open("", false).ok());
  log_.Write(LogStream::kStdout, "nobody reads this");
  log_.Finish(LogStream::kStdout);
  EXPECT_TRUE(log_.Reopen().ok());
  EXPECT_EQ(log_.dropped_lines(), 0u);
}

TEST(FormatLogTimeTest, KnownInstants) {
  auto format = [](int64_t ns) {
    char text[32];
    return std::string(text, FormatLogTime(ns, text));
  };
  EXPECT_EQ(format(0), "1970-01-01T00:00:00.000000000Z");
  EXPECT_EQ(format(951827696123456789), "2000-02-29T12:34:56.123456789Z");
  EXPECT_EQ(format(1709251199999999999), "2024-02-29T23:59:59.999999999Z");
  EXPECT_EQ(format(1709251200000000000), "2024-03-01T00:00:00.000000000Z");
  EXPECT_EQ(format(4102444800000000001), "2100-01-01T00:00:00.000000001Z");
}

}  // namespace
}  // namespace berth::supervisor
