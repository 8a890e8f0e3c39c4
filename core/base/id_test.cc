#include "core/base/id.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>

#include "core/base/file.h"

namespace berth {
namespace {

TEST(IdTest, OwnsWhatItMadeAndNothingElse) {
  const IdSource mine("key"), other("other");
  const std::string id = mine.New();
  EXPECT_TRUE(IsId(id));
  EXPECT_TRUE(mine.Owns(id));
  EXPECT_FALSE(other.Owns(id));
  EXPECT_NE(id, mine.New());
  std::string changed = id;
  changed[0] = changed[0] == 'a' ? 'b' : 'a';
  EXPECT_FALSE(mine.Owns(changed));
  EXPECT_FALSE(mine.Owns(id.substr(1)));
}

TEST(IdTest, TheKeyIsMadeOnceAndChecked) {
  char name[] = "/tmp/berth_id_XXXXXX";
  const std::string dir = mkdtemp(name), path = dir + "/id.key";
  auto first = IdSource::FromKeyFile(path);
  ASSERT_TRUE(first.ok()) << first.status();
  auto second = IdSource::FromKeyFile(path);
  ASSERT_TRUE(second.ok());
  EXPECT_TRUE(second->Owns(first->New()));
  for (const char* torn : {"", "short"}) {
    ASSERT_TRUE(WriteFileAtomic(path, torn, 0600, Durability::kVolatile).ok());
    EXPECT_EQ(IdSource::FromKeyFile(path).status().code(), absl::StatusCode::kDataLoss) << torn;
  }
  ASSERT_TRUE(RemoveTree(dir).ok());
}

// What `openssl dgst -sha256 -hmac KEY` says: ids of an older Berth stay its own.
TEST(IdTest, TheChecksumIsHmacWithSha256) {
  const IdSource source(std::string(32, 'k'));
  EXPECT_TRUE(source.Owns(std::string(56, '0') + "43c17b6a"));
  EXPECT_FALSE(source.Owns(std::string(55, '0') + "143c17b6a"));
}

}  // namespace
}  // namespace berth
