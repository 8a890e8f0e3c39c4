// The daemon is killed again and again under a mixed load, and nobody but the clients' connections notices.
//
// The short form of `tools/chaos kills`, which sets these in the environment:
//   CHAOS_SECONDS, CHAOS_CLIENTS, CHAOS_SEED
//   CHAOS_KILLS   0: the load alone, e.g. to look for races with thread sanitizer
#include <chrono>
#include <cstdio>
#include <random>

#include "absl/time/clock.h"
#include "core/base/file.h"
#include "tools/integration/daemon_test.h"
#include "tools/integration/isolation.h"
#include "tools/load/chaos_settings.h"
#include "tools/load/mixed_load.h"

namespace berth {
namespace {

class KillsTest : public DaemonTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(DaemonTest::SetUp());
    ASSERT_OK(AddTransientImage(*place_));
    NoteWhatExists();
  }

  // Half of the kills meet a daemon at work, the others one that is still recovering from the last.
  void KillAndRestart(std::mt19937_64* random) {
    KillDaemon();
    ++kills_;
    while ((*random)() % 2 == 0) {
      auto daemon = DaemonProcess::Start(BuiltDaemon(TheWorld().runfiles), place_->config(), place_->daemon_log());
      ASSERT_OK(daemon);
      absl::SleepFor(absl::Milliseconds(1 + (*random)() % 150));
      daemon->Kill();
      ++kills_;
    }
    ASSERT_OK(StartDaemon());
  }

  void ExpectNoRace() {
    const auto log = ReadFile(place_->daemon_log(), uint64_t{1} << 32);
    ASSERT_OK(log);
    const size_t found = log->find("WARNING: ThreadSanitizer");
    EXPECT_EQ(found, std::string::npos) << log->substr(found, 8 << 10);
  }

  uint64_t kills_ = 0;
};

TEST_F(KillsTest, NothingIsLostNorLeftUnderLoad) {
  const auto seconds = absl::Seconds(FromEnvironment("CHAOS_SECONDS", 15));
  const uint64_t seed = FromEnvironment("CHAOS_SEED", 1);
  const bool kill = FromEnvironment("CHAOS_KILLS", 1) != 0;
  LoadOptions options = LoadOptionsFor(*place_, seed);
  options.clients = static_cast<int>(FromEnvironment("CHAOS_CLIENTS", 4));
  options.may_be_interrupted = kill;
  std::printf("kills: seed %llu, %d clients, %s\n", static_cast<unsigned long long>(seed), options.clients,
              absl::FormatDuration(seconds).c_str());
  std::mt19937_64 random(seed);
  MixedLoad load(options);
  load.Start();
  for (const absl::Time end = absl::Now() + seconds; absl::Now() < end && !HasFatalFailure();) {
    absl::SleepFor(std::min(absl::Milliseconds(100 + random() % 2500), end - absl::Now()));
    if (kill) KillAndRestart(&random);
  }
  load.Stop();
  std::printf("kills: seed %llu: %llu kills, %s\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(kills_), load.report().Summary().c_str());
  for (const std::string& fault : load.report().faults()) ADD_FAILURE() << fault;
  EXPECT_GT(load.report().counts().exit_codes.load(), 0u);
  ExpectNoRace();
}

}  // namespace
}  // namespace berth
