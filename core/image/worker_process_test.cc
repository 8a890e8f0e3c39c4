// Pulls through a worker that is a process: what a thread can't show.
#include "core/image/worker_process.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <set>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "core/image/testing/images_fixture.h"

namespace berth {
namespace {

constexpr char kWorker[] = "core/image/testing/test_worker";

class WorkerProcessTest : public ImagesFixture {
 protected:
  void SetUp() override {
    launcher_ = LaunchWorkerProcess({kWorker});
    ImagesFixture::SetUp();
    notes_ = top_ + "/notes";
    setenv("TEST_WORKER_NOTES", notes_.c_str(), 1);
  }

  // The n-th number in the line that begins with `when`.
  int64_t Note(absl::string_view when, size_t n) {
    const std::string text = ReadFile(notes_).value_or("");
    for (absl::string_view line : absl::StrSplit(text, '\n')) {
      if (!absl::StartsWith(line, when)) continue;
      for (absl::string_view word : absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty())) {
        int64_t number;
        if (absl::SimpleAtoi(word, &number) && n-- == 0) return number;
      }
    }
    return -1;
  }

  std::string notes_;
};

TEST_F(WorkerProcessTest, PullsLikeAThread) {
  const auto pulled = Pull("app");
  ASSERT_TRUE(pulled.ok()) << pulled.status();
  EXPECT_EQ(*ReadFile(snapshotter_->Tree(images_->ChainKeys(*pulled, "fake")->front()) + "/b"), "b");
  ExpectClean(2);
}

TEST_F(WorkerProcessTest, ItsDeathIsAnErrorAndLeavesNothing) {
  const absl::Status status = Pull("crash").status();
  EXPECT_TRUE(absl::IsInternal(status)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "worker has ended")) << status;
  ExpectClean(0);
  EXPECT_TRUE(Pull("app").ok());
}

TEST_F(WorkerProcessTest, OneThatDoesNotListenIsKilled) {
  const UniqueFd cancel(eventfd(0, EFD_CLOEXEC));
  Call call;
  call.cancel_fd = cancel.get();
  absl::Status status;
  std::thread thread([&] { status = Pull("hang", call).status(); });
  for (int i = 0; i < 6000 && Note("hang", 0) <= 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const pid_t pid = static_cast<pid_t>(Note("hang", 0));
  EXPECT_GT(pid, 0);
  EXPECT_EQ(kill(pid, 0), 0);
  ASSERT_EQ(eventfd_write(cancel.get(), 1), 0);
  thread.join();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_NE(kill(pid, 0), 0);
  EXPECT_EQ(errno, ESRCH);
}

TEST_F(WorkerProcessTest, IsConfined) {
  const std::string facts(Pull("confined").status().message());
  EXPECT_TRUE(absl::StrContains(facts, "NoNewPrivs:\t1")) << facts;
  // chown, dac_override, fowner, fsetid, sys_admin, mknod, setfcap: bits 0, 1, 3, 4, 21, 27, 31.
  for (absl::string_view line : absl::StrSplit(facts, '\n')) {
    if (!absl::StartsWith(line, "CapEff:") && !absl::StartsWith(line, "CapBnd:")) continue;
    uint64_t set = 0;
    ASSERT_TRUE(absl::SimpleHexAtoi(line.substr(7), &set)) << line;
    EXPECT_EQ(set & ~uint64_t{0x8820001b}, 0u) << line;
  }
  EXPECT_TRUE(absl::StrContains(facts, "OomScoreAdj:\t700")) << facts;
  EXPECT_TRUE(absl::StrContains(facts, "Group:\t1")) << facts;
}

TEST_F(WorkerProcessTest, NeedsLittleMemoryForALargeLayer) {
#if defined(__SANITIZE_ADDRESS__) || defined(BERTH_TSAN)
  GTEST_SKIP() << "sanitizers have a memory of their own";
#endif
  ASSERT_TRUE(Pull("big").ok());
  // What the registry in memory holds is there from the beginning.
  const int64_t before = Note("begin", 2), peak = Note("end", 1);
  ASSERT_GT(before, 0);
  ASSERT_GT(peak, 0);
  EXPECT_LT(Note("end", 2) - before, (64 + 32) << 10) << "kB";  // the fake copies the blob once
}

TEST_F(WorkerProcessTest, AFullDiskIsSaidSoAndLeavesRoomAgain) {
  images_.reset();
  store_.reset();
  ASSERT_EQ(unshare(CLONE_NEWNS), 0);
  ASSERT_EQ(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  const std::string disk = top_ + "/snapshots";
  ASSERT_EQ(mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=4m"), 0);
  Start();
  const absl::Status status = Pull("big").status();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "No space left")) << status;
  ExpectClean(0);
  EXPECT_TRUE(Pull("app").ok());
  ExpectClean(2);
  images_.reset();
  ASSERT_EQ(umount2(disk.c_str(), MNT_DETACH), 0);
}

TEST(WorkerProcess, AMissingProgramIsAnError) {
  const auto worker = LaunchWorkerProcess({"/nonexistent/worker"})();
  EXPECT_TRUE(absl::IsNotFound(worker.status())) << worker.status();
}

}  // namespace
}  // namespace berth
