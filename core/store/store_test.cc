#include "core/store/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <map>
#include <set>
#include <thread>
#include <vector>

#include "core/base/failpoint.h"
#include "proto/berth/state/v1/state.pb.h"

namespace berth {
namespace {

using state::v1::Pod;
using ::testing::HasSubstr;

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/berth_store_XXXXXX";
    dir_ = mkdtemp(name);
  }
  void TearDown() override {
    SetFailpoints("").IgnoreError();
    ASSERT_TRUE(RemoveTree(dir_).ok());
  }
  std::string path() const { return dir_ + "/meta.db"; }

  static Pod MakePod(const std::string& id) {
    Pod pod;
    pod.set_id(id);
    return pod;
  }
  static std::map<std::string, std::string> Rows(Store& store, Table table) {
    std::map<std::string, std::string> rows;
    EXPECT_TRUE(store
                    .ForEach(table,
                             [&](absl::string_view key, absl::string_view data) {
                               rows.emplace(key, data);
                               return absl::OkStatus();
                             })
                    .ok());
    return rows;
  }

  std::string dir_;
};

TEST_F(StoreTest, WhatIsGivenUpIsAnothers) {
  auto store = Store::Open(path());
  ASSERT_TRUE(store.ok()) << store.status();
  Transaction change;
  change.Put(Table::kPods, "a", MakePod("a"));
  ASSERT_TRUE((*store)->Commit(change, Durability::kVolatile).ok());
  const auto number = (*store)->NextNumber();
  ASSERT_TRUE(number.ok());
  EXPECT_EQ(Store::Open(path(), 0).status().code(), absl::StatusCode::kUnavailable);
  (*store)->GiveUp();

  auto next = Store::Open(path());
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(Rows(**next, Table::kPods).size(), 1u);
  EXPECT_GT(*(*next)->NextNumber(), *number);
  EXPECT_EQ((*store)->Commit(change, Durability::kDurable).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ((*store)->NextNumber().status().code(), absl::StatusCode::kUnavailable);
  const absl::Status read = (*store)->ForEach(Table::kPods, [](auto, auto) { return absl::OkStatus(); });
  EXPECT_THAT(read.message(), HasSubstr("successor"));
  (*store)->GiveUp();  // nothing more
}

TEST_F(StoreTest, KeepsWhatWasCommitted) {
  {
    auto store = Store::Open(path());
    ASSERT_TRUE(store.ok()) << store.status();
    Transaction change;
    change.Put(Table::kPods, "a", MakePod("a")).Put(Table::kPods, "b", MakePod("b")).Delete(Table::kPods, "a");
    ASSERT_TRUE((*store)->Commit(change, Durability::kDurable).ok());
  }
  auto store = Store::Open(path());
  ASSERT_TRUE(store.ok()) << store.status();
  const auto rows = Rows(**store, Table::kPods);
  ASSERT_EQ(rows.size(), 1u);
  Pod pod;
  ASSERT_TRUE(pod.ParseFromString(rows.at("b")));
  EXPECT_EQ(pod.id(), "b");
}

TEST_F(StoreTest, AnEmptyMessageIsARow) {
  auto store = Store::Open(path());
  ASSERT_TRUE(store.ok());
  Transaction change;
  change.Put(Table::kImages, "empty", state::v1::Image());
  ASSERT_TRUE((*store)->Commit(change, Durability::kVolatile).ok());
  EXPECT_EQ(Rows(**store, Table::kImages), (std::map<std::string, std::string>{{"empty", ""}}));
}

TEST_F(StoreTest, IsHeldByOneAtATime) {
  auto first = Store::Open(path());
  ASSERT_TRUE(first.ok());
  auto second = Store::Open(path(), 0);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(second.status().message(), HasSubstr("another berth daemon"));
  first->reset();
  EXPECT_TRUE(Store::Open(path(), 0).ok());
}

// As a child has it that a daemon was starting when it was killed: it goes when that executes its program.
TEST_F(StoreTest, ALockThatIsAboutToGoIsWaitedFor) {
  auto first = Store::Open(path());
  ASSERT_TRUE(first.ok());
  std::thread going([&first] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    first->reset();
  });
  const auto second = Store::Open(path());
  EXPECT_TRUE(second.ok()) << second.status();
  going.join();
}

TEST_F(StoreTest, NumbersNeverComeTwice) {
  uint64_t last = 0;
  for (int opened = 0; opened < 3; ++opened) {
    auto store = Store::Open(path());
    ASSERT_TRUE(store.ok());
    for (int i = 0; i < 100; ++i) {
      auto number = (*store)->NextNumber();
      ASSERT_TRUE(number.ok());
      EXPECT_GT(*number, last);
      last = *number;
    }
  }
}

// Its log too: the newer daemon may have been killed, and what it committed last is in there alone.
TEST_F(StoreTest, RefusesANewerSchemaAndLeavesItAlone) {
  { ASSERT_TRUE(Store::Open(path()).ok()); }
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path().c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, "PRAGMA user_version=999", nullptr, nullptr, nullptr), SQLITE_OK);
  std::map<std::string, std::string> left;
  for (const char* file : {"", "-wal"}) {
    const std::string copy = dir_ + "/copy.db" + file;
    left[copy] = ReadFile(path() + file, 16 << 20).value();
    ASSERT_TRUE(WriteFileAtomic(copy, left[copy], 0600, Durability::kVolatile).ok());
  }
  sqlite3_close(db);
  ASSERT_FALSE(left[dir_ + "/copy.db-wal"].empty());
  auto store = Store::Open(dir_ + "/copy.db");
  EXPECT_EQ(store.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(store.status().message(), HasSubstr("version 999"));
  for (const auto& [file, bytes] : left) EXPECT_EQ(ReadFile(file, 16 << 20).value_or("gone"), bytes) << file;
}

// At every length: the newest commits are gone, those before are whole, and the store goes on.
TEST_F(StoreTest, ATruncatedLogIsAnEarlierState) {
  auto store = Store::Open(path());
  ASSERT_TRUE(store.ok()) << store.status();
  std::vector<std::map<std::string, std::string>> states = {{}};
  for (int i = 0; i < 5; ++i) {
    Transaction change;
    change.Put(Table::kPods, "same", MakePod(std::string(5000, static_cast<char>('a' + i))));
    change.Put(Table::kPods, std::to_string(i), MakePod("row"));
    ASSERT_TRUE((*store)->Commit(change, Durability::kDurable).ok());
    states.push_back(Rows(**store, Table::kPods));
  }
  const std::string database = ReadFile(path(), 16 << 20).value(), log = ReadFile(path() + "-wal", 16 << 20).value();
  std::set<size_t> seen;
  for (size_t size = 0; size <= log.size(); size += size < 100 ? 7 : 509) {
    const std::string copy = dir_ + "/copy.db";
    for (const char* leftover : {"-wal", "-shm"}) unlink((copy + leftover).c_str());
    ASSERT_TRUE(WriteFileAtomic(copy, database, 0600, Durability::kVolatile).ok());
    ASSERT_TRUE(WriteFileAtomic(copy + "-wal", log.substr(0, size), 0600, Durability::kVolatile).ok());
    auto cut = Store::Open(copy);
    ASSERT_TRUE(cut.ok()) << cut.status() << " at " << size;
    const auto state = std::find(states.begin(), states.end(), Rows(**cut, Table::kPods));
    ASSERT_NE(state, states.end()) << "no state there ever was, at " << size;
    seen.insert(static_cast<size_t>(state - states.begin()));
    ASSERT_TRUE((*cut)->Commit(Transaction().Put(Table::kPods, "new", MakePod("new")), Durability::kDurable).ok());
    EXPECT_EQ(Rows(**cut, Table::kPods).count("new"), 1u);
  }
  EXPECT_GE(seen.size(), states.size() - 1) << "each state but the last has a length of the log";
}

TEST_F(StoreTest, RefusesWhatIsNotADatabase) {
  std::ofstream(path()) << std::string(8192, 'x');
  EXPECT_EQ(Store::Open(path()).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(StoreTest, RefusesAStrangersDatabase) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path().c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, "CREATE TABLE t (x)", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
  EXPECT_EQ(Store::Open(path()).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(StoreTest, AFailedCommitChangesNothing) {
  auto store = Store::Open(path());
  ASSERT_TRUE(store.ok());
  Transaction change;
  change.Put(Table::kPods, "a", MakePod("a"));
  ASSERT_TRUE(SetFailpoints("store.commit.before=1*return(ENOSPC)").ok());
  EXPECT_EQ((*store)->Commit(change, Durability::kVolatile).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(Rows(**store, Table::kPods).empty());
  EXPECT_TRUE((*store)->Commit(change, Durability::kVolatile).ok());
  EXPECT_EQ(Rows(**store, Table::kPods).size(), 1u);
}

}  // namespace
}  // namespace berth
