#include "core/base/id.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>

namespace berth {
namespace {

class IdTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mkdtemp(directory_.data()), nullptr); }
  void TearDown() override {
    unlink(Key().c_str());
    rmdir(directory_.c_str());
  }
  std::string Key() const { return directory_ + "/id.key"; }
  void WriteKey(const std::string& key) { std::ofstream(Key()) << key; }

  std::string directory_ = testing::TempDir() + "/id.XXXXXX";
};

// What `openssl dgst -sha256 -hmac KEY` says: ids of an older Berth stay its own.
TEST_F(IdTest, TheChecksumIsHmacWithSha256) {
  WriteKey(std::string(32, 'k'));
  const auto source = IdSource::FromKeyFile(Key());
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_TRUE(source->Owns(std::string(56, '0') + "43c17b6a"));
  EXPECT_FALSE(source->Owns(std::string(55, '0') + "143c17b6a"));
}

TEST_F(IdTest, AnIdIsItsSourcesAndNoOthers) {
  const auto source = IdSource::FromKeyFile(Key());
  ASSERT_TRUE(source.ok()) << source.status();
  const std::string id = source->New();
  EXPECT_TRUE(IsId(id)) << id;
  EXPECT_NE(id, source->New());
  EXPECT_TRUE(source->Owns(id));
  EXPECT_TRUE(IdSource::FromKeyFile(Key())->Owns(id)) << "the key is kept";
  WriteKey(std::string(32, 'o'));
  EXPECT_FALSE(IdSource::FromKeyFile(Key())->Owns(id));
}

TEST_F(IdTest, AKeyOfAnotherLengthIsRefused) {
  WriteKey("short");
  EXPECT_EQ(IdSource::FromKeyFile(Key()).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace berth
