// Logs are rotated as the kubelet does it: rename, then ReopenContainerLog.
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/file.h"
#include "tools/integration/daemon_test.h"

namespace berth {
namespace {

using testing::HasSubstr;

class LogRotationTest : public DaemonTest {
 protected:
  absl::Status Reopen(const std::string& id) {
    cri::ReopenContainerLogRequest request;
    request.set_container_id(id);
    return client().ReopenContainerLog(request).status();
  }
  std::string Directory() const { return pod_config_.log_directory() + "/main"; }
  std::string Log() const { return Directory() + "/0.log"; }
};

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

// The text of every line of these files, in order. Each line has to be whole.
std::vector<std::string> TextOf(const std::vector<std::string>& files) {
  std::vector<std::string> text;
  for (const std::string& file : files) {
    const auto content = ReadFile(file, 256 << 20);
    EXPECT_OK(content);
    EXPECT_TRUE(content->empty() || content->back() == '\n') << file << " ends within a line";
    for (absl::string_view line : absl::StrSplit(*content, '\n', absl::SkipEmpty())) {
      const std::vector<absl::string_view> parts = absl::StrSplit(line, absl::MaxSplits(' ', 3));
      EXPECT_EQ(parts.size(), 4u) << file << ": " << line;
      if (parts.size() == 4) text.emplace_back(parts[3]);
    }
  }
  return text;
}

TEST_F(LogRotationTest, UnderLoadNoLineIsLostOrDoubled) {
  // Many small writes, so that rotations fall between them, and lines that are longer than what a pipe takes at once.
  constexpr int kLines = 60000;
  RunOne(absl::StrCat("long=$(head -c 9000 /dev/zero | tr '\\0' y); i=0; while [ $i -lt ", kLines,
                      " ]; do echo $i; [ $((i % 100)) != 0 ] || echo $long; i=$((i+1)); done"));
  std::vector<std::string> files;
  bool running = true;
  while (running) {
    running = Status(container_)->state() == cri::CONTAINER_RUNNING;
    const std::string old = absl::StrCat(Directory(), "/0.log.", files.size());
    ASSERT_EQ(rename(Log().c_str(), old.c_str()), 0);
    const absl::Status reopened = Reopen(container_);
    if (reopened.ok()) {
      files.push_back(old);
      EXPECT_TRUE(Exists(Log()));
      if (files.size() == 5) {
        ASSERT_OK(RestartDaemon());
      }
      continue;
    }
    // It ended: as the kubelet does, the old name is given back, and nothing may stand there.
    EXPECT_CODE(reopened, kFailedPrecondition);
    EXPECT_FALSE(Exists(Log()));
    ASSERT_EQ(rename(old.c_str(), Log().c_str()), 0);
    running = false;
  }
  ASSERT_OK(WaitFor(container_, cri::CONTAINER_EXITED));
  EXPECT_GT(files.size(), 5u) << "the load ended too early to rotate under it";
  files.push_back(Log());
  int next = 0;
  for (const std::string& line : TextOf(files)) {
    if (line.size() == 9000) continue;
    ASSERT_EQ(line, absl::StrCat(next));
    ++next;
  }
  EXPECT_EQ(next, kLines);
  EXPECT_OK(RemovePod(pod_));
}

TEST_F(LogRotationTest, AFailureCreatesNothingAndTheOldFileIsWrittenOn) {
  RunOne("while :; do echo tick; sleep 0.05; done");
  // The directory is not there: nothing can be opened.
  const std::string moved = Directory() + ".moved";
  ASSERT_EQ(rename(Directory().c_str(), moved.c_str()), 0);
  EXPECT_CODE(Reopen(container_), kNotFound);
  EXPECT_FALSE(Exists(Directory()));
  ASSERT_EQ(rename(moved.c_str(), Directory().c_str()), 0);
  // Something else is in the place.
  const std::string old = Log() + ".old";
  ASSERT_EQ(rename(Log().c_str(), old.c_str()), 0);
  ASSERT_EQ(symlink("/tmp/elsewhere", Log().c_str()), 0);
  EXPECT_FALSE(Reopen(container_).ok());
  EXPECT_FALSE(Exists("/tmp/elsewhere"));
  ASSERT_EQ(unlink(Log().c_str()), 0);
  const size_t size = ReadFile(old)->size();
  for (int i = 0; i < 600 && ReadFile(old)->size() == size; ++i) usleep(50000);
  EXPECT_GT(ReadFile(old)->size(), size);
  ASSERT_OK(Reopen(container_));
  EXPECT_TRUE(Exists(Log()));
  EXPECT_OK(RemovePod(pod_));
}

TEST_F(LogRotationTest, OnlyARunningContainerHasALogToReopen) {
  EXPECT_CODE(Reopen(""), kInvalidArgument);
  EXPECT_CODE(Reopen(std::string(64, 'f')), kNotFound);
  pod_config_ = PodConfig("one");
  const auto pod = RunPod(pod_config_);
  ASSERT_OK(pod);
  const auto container = Create(*pod, pod_config_, ShellConfig("main", "true"));
  ASSERT_OK(container);
  EXPECT_CODE(Reopen(*container), kFailedPrecondition);
  ASSERT_OK(StartContainer(*container));
  ASSERT_OK(WaitFor(*container, cri::CONTAINER_EXITED));
  ASSERT_EQ(unlink(Log().c_str()), 0);
  const absl::Status ended = Reopen(*container);
  EXPECT_CODE(ended, kFailedPrecondition);
  EXPECT_THAT(ended.message(), HasSubstr("not running"));
  EXPECT_FALSE(Exists(Log()));
  cri::ContainerConfig config = ShellConfig("silent", "sleep 1000");
  config.clear_log_path();
  const auto silent = Create(*pod, pod_config_, config);
  ASSERT_OK(silent);
  ASSERT_OK(StartContainer(*silent));
  EXPECT_OK(Reopen(*silent)) << "it has no log";
  EXPECT_OK(RemovePod(*pod));
}

}  // namespace
}  // namespace berth
