#include "core/image/sync_queue.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace berth {
namespace {

class SyncQueueTest : public testing::Test {
 protected:
  UniqueFd Open(const std::string& path, int flags) { return UniqueFd(open(path.c_str(), flags | O_CLOEXEC)); }

  bool WaitForAnswers(int count) {
    std::unique_lock<std::mutex> lock(mutex_);
    return answered_.wait_for(lock, std::chrono::seconds(60), [&] { return answers_ + errors_ == count; });
  }

  SyncQueue::Done Count() {
    return [this](const absl::Status& status) {
      const std::lock_guard<std::mutex> lock(mutex_);
      ++(status.ok() ? answers_ : errors_);
      if (!status.ok()) error_ = status;
      answered_.notify_all();
    };
  }

  std::mutex mutex_;
  std::condition_variable answered_;
  int answers_ = 0, errors_ = 0;
  absl::Status error_;
};

// None of which is a disk: a sync takes as long there as what others have written.
TEST_F(SyncQueueTest, AnswersForEveryTreeOnEveryFileSystem) {
  SyncQueue queue;
  for (int i = 0; i < 20; ++i) queue.Add(Open(i % 2 == 0 ? "/proc" : "/dev/shm", O_RDONLY | O_DIRECTORY), Count());
  ASSERT_TRUE(WaitForAnswers(20));
  EXPECT_EQ(answers_, 20) << error_;
}

TEST_F(SyncQueueTest, AnErrorIsThatTreesAlone) {
  SyncQueue queue;
  queue.Add(UniqueFd(), Count());
  queue.Add(Open("/tmp", O_PATH | O_DIRECTORY), Count());  // which syncfs(2) refuses
  queue.Add(Open("/dev/shm", O_RDONLY | O_DIRECTORY), Count());
  ASSERT_TRUE(WaitForAnswers(3));
  EXPECT_EQ(errors_, 2);
  EXPECT_EQ(answers_, 1);
}

TEST_F(SyncQueueTest, ItsEndWaitsForTheSyncThatRuns) {
  std::atomic<bool> began{false}, may_end{false}, ended{false};
  std::thread releaser;
  {
    SyncQueue queue;
    queue.Add(Open("/dev/shm", O_RDONLY | O_DIRECTORY), [&](const absl::Status&) {
      began = true;
      while (!may_end) std::this_thread::yield();
      ended = true;
    });
    while (!began) std::this_thread::yield();
    releaser = std::thread([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      may_end = true;
    });
  }
  EXPECT_TRUE(ended);
  releaser.join();
}

}  // namespace
}  // namespace berth
