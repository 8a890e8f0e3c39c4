// The store on a disk that fails: a scripted life of a database is cut, torn and starved at every single operation of
// its disk, and what the store promises has to hold each time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "core/store/store.h"
#include "core/store/testing/faulty_disk.h"
#include "proto/berth/state/v1/state.pb.h"

namespace berth {
namespace {

using state::v1::Pod;
using ::testing::HasSubstr;
using Rows = std::map<std::string, std::string>;

// Checkpoints are what moves pages from the log into the database: often enough to be cut many times.
constexpr int kPagesPerCheckpoint = 6;
constexpr uint32_t kSeeds = 4;  // outcomes looked at for each cut

int CheckpointOften(sqlite3* db, char**, const sqlite3_api_routines*) {
  return sqlite3_wal_autocheckpoint(db, kPagesPerCheckpoint);
}

Rows AllRows(Store& store) {
  Rows rows;
  const absl::Status read = store.ForEach(Table::kPods, [&](absl::string_view key, absl::string_view data) {
    rows.emplace(key, data);
    return absl::OkStatus();
  });
  EXPECT_TRUE(read.ok()) << read;
  return rows;
}

// What the script has done to one store, as the store answered it.
struct Life {
  std::vector<Rows> states = {{}};  // after each commit that may have happened, in order
  size_t durable = 0;               // of them: the newest that was promised to survive
  size_t done = 0;                  // the newest that was answered OK
  uint64_t highest_number = 0;
  bool failed = false;
};

class StoreFaultTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/berth_store_fault_XXXXXX";
    dir_ = mkdtemp(name);  // for the store's lock alone
    sqlite3_auto_extension(reinterpret_cast<void (*)()>(CheckpointOften));
  }
  void TearDown() override {
    sqlite3_reset_auto_extension();
    ASSERT_TRUE(RemoveTree(dir_).ok());
  }
  std::string path() const { return dir_ + "/meta.db"; }

  // A row of some pages and many of some bytes; `version` makes each different.
  static Transaction Change(int step, Rows* rows) {
    Transaction change;
    const auto put = [&](const std::string& key, size_t bytes) {
      Pod pod;
      pod.set_id(key);
      pod.set_config(std::string(bytes, static_cast<char>('a' + step % 26)));
      change.Put(Table::kPods, key, pod);
      (*rows)[key] = pod.SerializeAsString();
    };
    put(absl::StrCat("pod", step % 5), step % 3 == 0 ? 9000 : 300);
    put(absl::StrCat("row", step), 40);
    if (step > 3) {
      change.Delete(Table::kPods, absl::StrCat("row", step - 3));
      rows->erase(absl::StrCat("row", step - 3));
    }
    return change;
  }

  // Opens the store, commits `steps` times, closes it; every third commit is a durable one. Stops at an error unless
  // `again`: then what failed is tried once more, and has to succeed.
  void Live(int steps, bool again, Life* life) {
    auto store = Store::Open(path());
    if (!store.ok() && again) store = Store::Open(path());
    if (!store.ok()) {
      life->failed = true;
      EXPECT_FALSE(again) << store.status();
      return;
    }
    for (int step = 0; step < steps && !life->failed; ++step) Step(store->get(), step, again, life);
  }

  void Step(Store* store, int step, bool again, Life* life) {
    if (step % 4 == 1) {
      auto number = store->NextNumber();
      if (!number.ok() && again) number = store->NextNumber();
      EXPECT_TRUE(number.ok() || !again) << number.status();
      life->failed = !number.ok();
      if (life->failed) return;
      EXPECT_GT(*number, life->highest_number);
      life->highest_number = *number;
    }
    Rows rows = life->states.back();
    const Transaction change = Change(step, &rows);
    const Durability durability = step % 3 == 2 ? Durability::kDurable : Durability::kVolatile;
    absl::Status status = store->Commit(change, durability);
    if (!status.ok() && again) {
      EXPECT_EQ(AllRows(*store), life->states.back()) << "a failed commit changed something";
      status = store->Commit(change, durability);
      EXPECT_TRUE(status.ok()) << status;
    }
    life->states.push_back(std::move(rows));
    life->failed = !status.ok();
    if (life->failed) return;
    life->done = life->states.size() - 1;
    if (durability == Durability::kDurable) life->durable = life->done;
  }

  // After a cut: the store opens, is sound, and holds one of the states it may hold.
  void ExpectSurvived(const Life& life, bool lost_power) {
    auto store = Store::Open(path());
    ASSERT_TRUE(store.ok()) << store.status();
    const Rows rows = AllRows(**store);
    const size_t oldest = lost_power ? life.durable : life.done;
    bool possible = false;
    for (size_t i = oldest; i < life.states.size(); ++i) possible |= rows == life.states[i];
    EXPECT_TRUE(possible) << "neither the state after commit " << oldest << " nor a later one";
    for (int i = 0; i < 3; ++i) {
      const auto number = (*store)->NextNumber();
      ASSERT_TRUE(number.ok()) << number.status();
      EXPECT_GT(*number, life.highest_number) << "a number came twice";
    }
    Rows ignored;
    EXPECT_TRUE((*store)->Commit(Change(99, &ignored), Durability::kDurable).ok());
    store->reset();
    ExpectSound();
  }

  void ExpectSound() {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(path().c_str(), &db), SQLITE_OK);
    std::string answer;
    const auto take = [](void* to, int, char** columns, char**) {
      *static_cast<std::string*>(to) += columns[0];
      return 0;
    };
    EXPECT_EQ(sqlite3_exec(db, "PRAGMA integrity_check", take, &answer, nullptr), SQLITE_OK);
    EXPECT_EQ(answer, "ok");
    sqlite3_close(db);
  }

  static constexpr int kSteps = 12;
  std::string dir_;
};

// How many operations there are is asked of a disk without faults.
TEST_F(StoreFaultTest, SurvivesAPowerCutAtEveryOperation) {
  uint64_t cuts = 0;
  for (uint64_t at = 1;; ++at) {
    bool cut = true;
    for (uint32_t seed = 0; seed < kSeeds && cut; ++seed) {
      SCOPED_TRACE(absl::StrCat("operation ", at, ", seed ", seed));
      FaultyDisk disk;
      disk.Arm(at, Fault::kPowerCut);
      Life life;
      Live(kSteps, /*again=*/false, &life);
      cut = !disk.has_power();
      disk.PowerOn(seed * 1000003 + static_cast<uint32_t>(at));
      ExpectSurvived(life, /*lost_power=*/true);
      if (HasFailure()) return;
      cuts += cut ? 1 : 0;
    }
    if (!cut) break;
  }
  EXPECT_GT(cuts, 100u * kSeeds);
  std::printf("%llu power cuts\n", static_cast<unsigned long long>(cuts));
}

// A second life on what the first left: its log is there, and numbers and rows go on.
TEST_F(StoreFaultTest, SurvivesASecondCutDuringItsRecovery) {
  for (uint64_t at = 1;; ++at) {
    SCOPED_TRACE(absl::StrCat("operation ", at));
    FaultyDisk disk;
    Life life;
    disk.Arm(90, Fault::kPowerCut);
    Live(kSteps, /*again=*/false, &life);
    ASSERT_FALSE(disk.has_power());
    disk.PowerOn(11);
    disk.Arm(at, Fault::kPowerCut);
    { auto recovering = Store::Open(path()); }
    const bool cut = !disk.has_power();
    disk.PowerOn(static_cast<uint32_t>(at));
    ExpectSurvived(life, /*lost_power=*/true);
    if (HasFailure() || !cut) break;
  }
}

// The daemon dies, the machine does not: nothing that was answered is lost, whatever was promised of it.
TEST_F(StoreFaultTest, LosesNothingWhenOnlyTheProcessDies) {
  FaultyDisk disk;
  Life life;
  Live(kSteps, /*again=*/false, &life);
  ASSERT_FALSE(life.failed);
  ExpectSurvived(life, /*lost_power=*/false);
}

TEST_F(StoreFaultTest, AnErrorAtAnyOperationFailsThatCallAlone) {
  for (const Fault fault : {Fault::kIoError, Fault::kNoSpace, Fault::kShortWrite}) {
    for (uint64_t at = 1;; ++at) {
      SCOPED_TRACE(absl::StrCat("fault ", static_cast<int>(fault), " at operation ", at));
      FaultyDisk disk;
      disk.Arm(at, fault);
      Life life;
      Live(kSteps, /*again=*/true, &life);
      const bool reached = disk.operations() >= at;
      disk.Arm(0, Fault::kNone);
      ExpectSurvived(life, /*lost_power=*/false);
      if (HasFailure()) return;
      if (!reached) break;
    }
  }
}

// What was promised before the error holds also when the power goes after it.
TEST_F(StoreFaultTest, AnErrorAndThenACutLoseNoDurableCommit) {
  for (uint64_t at = 1;; ++at) {
    SCOPED_TRACE(absl::StrCat("error at operation ", at));
    FaultyDisk disk;
    disk.Arm(at, Fault::kIoError);
    Life life;
    Live(kSteps, /*again=*/true, &life);
    const bool reached = disk.operations() >= at;
    disk.Arm(0, Fault::kNone);
    disk.PowerOn(static_cast<uint32_t>(at));
    ExpectSurvived(life, /*lost_power=*/true);
    if (HasFailure() || !reached) break;
  }
}

TEST_F(StoreFaultTest, SaysOfADamagedDatabaseWhatToDo) {
  FaultyDisk disk;
  Life life;
  Live(kSteps, /*again=*/false, &life);
  ASSERT_FALSE(life.failed);
  std::string* const file = disk.Contents(path());
  ASSERT_NE(file, nullptr);
  const std::string whole = *file;
  int refused = 0;
  for (size_t page = 0; page < whole.size(); page += 4096) {
    *file = whole;
    for (size_t i = page; i < page + 4096; ++i) (*file)[i] = static_cast<char>(~whole[i]);
    absl::Status status;
    if (auto store = Store::Open(path()); store.ok()) {
      for (const Table table : {Table::kPods, Table::kContainers, Table::kImages, Table::kLayers, Table::kIntents}) {
        status.Update((*store)->ForEach(table, [](absl::string_view, absl::string_view) { return absl::OkStatus(); }));
      }
    } else {
      status = store.status();
    }
    if (status.ok()) continue;  // a page that nothing is in
    ++refused;
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_THAT(status.message(), HasSubstr("move it away")) << status;
  }
  EXPECT_GT(refused, 3);
}

}  // namespace
}  // namespace berth
