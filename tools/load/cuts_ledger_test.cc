#include "tools/load/cuts_ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "core/base/file.h"

namespace berth {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class CutsLedgerTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/cuts_ledger.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
    path_ = directory_ + "/ledger";
  }
  void TearDown() override { EXPECT_TRUE(RemoveTree(directory_).ok()); }

  void Write(const std::vector<std::pair<LedgerVerb, std::string>>& lines) {
    const auto ledger = Ledger::Open(path_);
    ASSERT_TRUE(ledger.ok()) << ledger.status();
    for (const auto& [verb, name] : lines) (*ledger)->Write(verb, name);
  }
  LedgerAccount Read() {
    const auto account = ReadLedger(path_);
    EXPECT_TRUE(account.ok()) << account.status();
    return account.value_or(LedgerAccount());
  }

  std::string directory_, path_;
};

TEST_F(CutsLedgerTest, AnAnswerHoldsUntilSomebodyAsksForTheOpposite) {
  Write({{LedgerVerb::kPulling, "a"}, {LedgerVerb::kPulled, "a"}, {LedgerVerb::kPulling, "b"}});
  EXPECT_THAT(Read().images_there, ElementsAre("a"));
  EXPECT_THAT(Read().images_gone, IsEmpty());
  Write({{LedgerVerb::kRemovingImage, "a"}});
  EXPECT_THAT(Read().images_there, IsEmpty()) << "it may be gone, it may be there";
  EXPECT_THAT(Read().images_gone, IsEmpty());
  Write({{LedgerVerb::kRemovedImage, "a"}});
  EXPECT_THAT(Read().images_gone, ElementsAre("a"));
  Write({{LedgerVerb::kPulling, "a"}});
  EXPECT_THAT(Read().images_gone, IsEmpty());
}

TEST_F(CutsLedgerTest, RemovedPodsAndContainersAndFaults) {
  Write({{LedgerVerb::kPod, "p"}, {LedgerVerb::kContainer, "c"}, {LedgerVerb::kRemovingPod, "p"}});
  EXPECT_THAT(Read().pods_gone, IsEmpty());
  Write({{LedgerVerb::kRemovedContainer, "c"}, {LedgerVerb::kRemovedPod, "p"}, {LedgerVerb::kFault, "two\nlines"}});
  EXPECT_THAT(Read().pods_gone, ElementsAre("p"));
  EXPECT_THAT(Read().containers_gone, ElementsAre("c"));
  EXPECT_THAT(Read().faults, ElementsAre("two | lines"));
  EXPECT_EQ(Read().counts[LedgerVerb::kPod], 1u);
}

TEST_F(CutsLedgerTest, ATornLineIsNoneWhereverItIsTorn) {
  Write({{LedgerVerb::kPulled, "image"}, {LedgerVerb::kRemovedPod, "pod"}});
  const auto whole = ReadFile(path_);
  ASSERT_TRUE(whole.ok());
  const size_t second = whole->find("removed-pod");
  for (size_t size = second; size < whole->size() - 1; ++size) {
    ASSERT_TRUE(WriteFileAtomic(path_, whole->substr(0, size), 0644, Durability::kVolatile).ok());
    Write({{LedgerVerb::kBoot, "next"}});
    EXPECT_EQ(Read().lines, 2u) << size;
    EXPECT_THAT(Read().pods_gone, IsEmpty()) << size;
    EXPECT_THAT(Read().images_there, ElementsAre("image"));
  }
}

}  // namespace
}  // namespace berth
