// The daemon is killed again and again under a mixed load, and nobody but the clients' connections notices.
//
// The short form of `tools/chaos kills`, which sets these in the environment:
//   CHAOS_SECONDS, CHAOS_CLIENTS, CHAOS_SEED
//   CHAOS_KILLS   0: the load alone, e.g. to look for races with thread sanitizer
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "core/base/file.h"
#include "tools/image/oci_layout.h"
#include "tools/integration/daemon_test.h"
#include "tools/integration/isolation.h"
#include "tools/load/mixed_load.h"

namespace berth {
namespace {

constexpr char kTransientImage[] = "example.org/test/transient:1";

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  uint64_t value = 0;
  if (text == nullptr) return otherwise;
  EXPECT_TRUE(absl::SimpleAtoi(text, &value)) << name << " is no number: " << text;
  return value;
}

class KillsTest : public DaemonTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(DaemonTest::SetUp());
    ImageSettings settings;
    settings.reference = kTransientImage;
    std::vector<std::string> layers;
    for (int i = 0; i < 3; ++i) {
      const auto tar = MakeTar({{LayerEntry::Type::kFile, absl::StrCat("file", i), std::string(200'000, 'a' + i), 0644},
                                {LayerEntry::Type::kDirectory, absl::StrCat("dir", i), "", 0755}});
      ASSERT_OK(tar);
      layers.push_back(*tar);
    }
    ASSERT_OK(AddImage(place_->images() + "/transient", settings, layers));
    NoteWhatExists();
  }

  LoadOptions Options(uint64_t seed) const {
    LoadOptions options;
    options.socket = place_->socket();
    options.logs = place_->logs();
    options.cgroup_parent = "/" + TheWorld().tag + "/pods";
    options.image = kTestImage;
    options.transient_image = kTransientImage;
    options.seed = seed;
    return options;
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
  LoadOptions options = Options(seed);
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
