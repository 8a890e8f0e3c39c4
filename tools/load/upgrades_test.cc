// The daemon is replaced again and again under a mixed load, and no call of any client fails.
//
// The short form of `tools/chaos upgrade`, which sets these in the environment:
//   CHAOS_UPGRADES, CHAOS_CLIENTS, CHAOS_SEED
#include <cstdio>
#include <random>

#include "absl/time/clock.h"
#include "tools/integration/upgrade_fixture.h"
#include "tools/load/chaos_settings.h"
#include "tools/load/mixed_load.h"

namespace berth {
namespace {

class UpgradesTest : public UpgradeFixture {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(UpgradeFixture::SetUp());
    ASSERT_OK(AddTransientImage(*place_));
    NoteWhatExists();
  }
};

TEST_F(UpgradesTest, NoCallFailsUnderLoad) {
  const uint64_t upgrades = FromEnvironment("CHAOS_UPGRADES", 4);
  const uint64_t seed = FromEnvironment("CHAOS_SEED", 1);
  LoadOptions options = LoadOptionsFor(*place_, seed);
  options.clients = static_cast<int>(FromEnvironment("CHAOS_CLIENTS", 4));
  options.may_be_interrupted = false;
  std::printf("upgrades: seed %llu, %d clients, %llu upgrades\n", static_cast<unsigned long long>(seed),
              options.clients, static_cast<unsigned long long>(upgrades));
  std::mt19937_64 random(seed);
  MixedLoad load(options);
  load.Start();
  absl::Duration longest;
  uint64_t done = 0;
  for (uint64_t i = 0; i < upgrades; ++i) {
    absl::SleepFor(absl::Milliseconds(random() % 3000));
    const absl::Time before = absl::Now();
    const absl::Status upgraded = Upgrade();
    EXPECT_OK(upgraded);
    done += upgraded.ok() ? 1 : 0;
    longest = std::max(longest, absl::Now() - before);
  }
  load.Stop();
  std::printf("upgrades: seed %llu: %llu done, the longest in %s, %llu calls failed, %s\n",
              static_cast<unsigned long long>(seed), static_cast<unsigned long long>(done),
              absl::FormatDuration(longest).c_str(), static_cast<unsigned long long>(load.report().fault_count()),
              load.report().Summary().c_str());
  for (const std::string& fault : load.report().faults()) ADD_FAILURE() << fault;
  EXPECT_EQ(load.report().counts().interrupted.load(), 0u);
  EXPECT_GT(load.report().counts().exit_codes.load(), 0u);
  ExpectRetired();
}

}  // namespace
}  // namespace berth
