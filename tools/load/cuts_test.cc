// The power of a node is cut again and again while it works: nothing that a
// client was told is lost, and the node goes on.
//
// The node is a machine of tools/lab with a disk that outlives it (cuts_node
// runs there). Killing the machine's process is the cut: what its kernel had
// not written to the disk is gone. The disk itself keeps every write it was
// given, in their order: a disk that reorders and tears is that of
// core/store/store_fault_test.
//
// The short form of `tools/chaos cuts`, which sets these in the environment:
//   CHAOS_CUTS, CHAOS_SEED
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "core/base/file.h"
#include "tools/integration/daemon_process.h"
#include "tools/integration/place.h"
#include "tools/load/cuts_images.h"
#include "tools/load/cuts_ledger.h"

namespace berth {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kBoot = absl::Minutes(5);  // of a machine that shares its processor, with all checks

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  uint64_t value = 0;
  if (text == nullptr) return otherwise;
  EXPECT_TRUE(absl::SimpleAtoi(text, &value)) << name << " is no number: " << text;
  return value;
}

// Where Bazel laid out what this program needs.
std::string Runfiles() {
  if (const char* source = std::getenv("TEST_SRCDIR")) return absl::StrCat(source, "/berth");
  char path[PATH_MAX];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof(path));
  return absl::StrCat(std::string(path, size > 0 ? static_cast<size_t>(size) : 0), ".runfiles/berth");
}

class CutsTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/cuts.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    work_ = name;
    ASSERT_TRUE(MakeDirs(work_ + "/plugins").ok());
    for (const std::string& plugin : BuiltPlugins(runfiles_)) {
      fs::copy_file(plugin, work_ + "/plugins" + plugin.substr(plugin.rfind('/')));
    }
    const absl::Status written = WriteCutsImages(work_ + "/images/cuts");
    ASSERT_TRUE(written.ok()) << written;
    random_.seed(seed_);
  }

  // Everything that says what happened is shown, and kept.
  void TearDown() override {
    machine_.Terminate(absl::Minutes(1)).IgnoreError();
    const LedgerAccount account = Account();
    const auto count = [&](LedgerVerb verb) {
      const auto found = account.counts.find(verb);
      return found == account.counts.end() ? uint64_t{0} : found->second;
    };
    std::printf(
        "cuts: seed %llu: %llu cuts (%llu before the clients began), %llu "
        "boots checked, %llu pulls answered, "
        "%llu pods and %llu containers made, %llu pods, %llu containers and "
        "%llu images removed, %zu faults\n",
        Number(seed_), Number(cuts_), Number(early_), Number(count(LedgerVerb::kChecked)),
        Number(count(LedgerVerb::kPulled)), Number(count(LedgerVerb::kPod)), Number(count(LedgerVerb::kContainer)),
        Number(count(LedgerVerb::kRemovedPod)), Number(count(LedgerVerb::kRemovedContainer)),
        Number(count(LedgerVerb::kRemovedImage)), account.faults.size());
    if (!HasFailure()) {
      fs::remove_all(work_);
      return;
    }
    for (const char* file : {"ledger", "node.log", "console", "daemon.log"}) Show(file);
    std::fprintf(stderr, "all of it, and the machine's disk, is in %s\n", work_.c_str());
  }

  static unsigned long long Number(uint64_t value) { return value; }

  void Show(const std::string& file) const {
    constexpr size_t kTail = 12 << 10;
    std::string text = ReadFile(work_ + "/" + file, uint64_t{1} << 30).value_or("(none)\n");
    if (text.size() > kTail) text = "..." + text.substr(text.size() - kTail);
    std::fprintf(stderr, "--- %s\n%s---\n", file.c_str(), text.c_str());
  }

  LedgerAccount Account() const { return ReadLedger(work_ + "/ledger").value_or(LedgerAccount()); }

  uint64_t CountOf(LedgerVerb verb) const {
    const LedgerAccount account = Account();
    const auto found = account.counts.find(verb);
    return found == account.counts.end() ? 0 : found->second;
  }

  void Boot(bool last) {
    std::vector<std::string> command = {runfiles_ + "/tools/lab/machine",
                                        "-c",
                                        "v2",
                                        "-m",
                                        "1G",
                                        "-t",
                                        absl::StrCat(2 * kBoot / absl::Seconds(1)),
                                        "-d",
                                        work_ + "/disk.img",
                                        "-l",
                                        work_ + "/console",
                                        "--",
                                        runfiles_ + "/tools/load/cuts_node",
                                        work_,
                                        absl::StrCat(seed_),
                                        absl::StrCat(++boots_)};
    if (last) command.push_back("last");
    auto machine = DaemonProcess::Start(std::move(command), work_ + "/node.log",
                                        {"TEST_SRCDIR=" + fs::path(runfiles_).parent_path().string()});
    ASSERT_TRUE(machine.ok()) << machine.status();
    machine_ = *std::move(machine);
  }

  // A machine that ends by itself, or comes to nothing, ends the test.
  void AwaitLine(LedgerVerb verb, uint64_t count) {
    for (const absl::Time end = absl::Now() + kBoot; CountOf(verb) < count;) {
      ASSERT_TRUE(IsUp()) << "boot " << boots_ << ": the machine has ended, see what it said";
      ASSERT_LT(absl::Now(), end) << "boot " << boots_ << ": the node has not come so far";
      absl::SleepFor(absl::Milliseconds(50));
    }
  }

  bool IsUp() const {
    siginfo_t info = {};
    return waitid(P_PID, static_cast<id_t>(machine_.pid()), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0;
  }

  // Most cuts meet the clients at work, some a daemon that recovers or the
  // checks that follow.
  void BootAndCut() {
    const uint64_t boots = CountOf(LedgerVerb::kBoot), loads = CountOf(LedgerVerb::kLoading);
    const bool early = loads > 0 && random_() % 5 == 0;
    const auto pause = absl::Milliseconds(early ? random_() % 5000 : 200 + random_() % 8000);
    ASSERT_NO_FATAL_FAILURE(Boot(/*last=*/false));
    if (early) {
      ASSERT_NO_FATAL_FAILURE(AwaitLine(LedgerVerb::kBoot, boots + 1));
    } else {
      ASSERT_NO_FATAL_FAILURE(AwaitLine(LedgerVerb::kLoading, loads + 1));
      // Where nothing has been promised yet there is nothing to lose, however slow the machine is.
      ASSERT_NO_FATAL_FAILURE(AwaitLine(LedgerVerb::kPulled, 1));
    }
    absl::SleepFor(pause);
    ASSERT_TRUE(IsUp()) << "boot " << boots_ << ": the machine has ended, see what it said";
    const auto cut = machine_.Terminate(absl::Minutes(1));
    ASSERT_TRUE(cut.ok()) << cut.status();
    ++cuts_;
    early_ += early ? 1 : 0;
    ASSERT_EQ(Account().faults.size(), 0u);
  }

  const std::string runfiles_ = Runfiles();
  const uint64_t seed_ = FromEnvironment("CHAOS_SEED", 1);
  std::string work_;
  std::mt19937_64 random_;
  DaemonProcess machine_;
  uint64_t boots_ = 0, cuts_ = 0, early_ = 0;
};

TEST_F(CutsTest, NothingThatWasPromisedIsLost) {
  const uint64_t cuts = FromEnvironment("CHAOS_CUTS", 3);
  std::printf("cuts: seed %llu, %llu cuts\n", Number(seed_), Number(cuts));
  std::fflush(stdout);
  for (uint64_t i = 0; i < cuts; ++i) {
    ASSERT_NO_FATAL_FAILURE(BootAndCut());
    if (cuts > 10 && cuts_ % 10 == 0) std::printf("cuts: %llu of %llu\n", Number(cuts_), Number(cuts));
    std::fflush(stdout);
  }
  ASSERT_NO_FATAL_FAILURE(Boot(/*last=*/true));
  const auto ended = machine_.WaitForEnd(kBoot);
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_TRUE(WIFEXITED(*ended) && WEXITSTATUS(*ended) == 0) << "wait status " << *ended;
  for (const std::string& fault : Account().faults) ADD_FAILURE() << fault;
  EXPECT_GT(CountOf(LedgerVerb::kPulled), 0u);
  EXPECT_GT(CountOf(LedgerVerb::kChecked), 0u);
}

}  // namespace
}  // namespace berth
