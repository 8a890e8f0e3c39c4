#include "tools/load/numbered_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "core/base/file.h"

namespace berth {
namespace {

class NumberedLogTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/numbered_log.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    directory_ = name;
  }
  void TearDown() override { EXPECT_TRUE(RemoveTree(directory_).ok()); }

  // The texts of one file's lines; "!" before one: as it stands.
  void Write(const std::string& name, const std::vector<std::string>& texts) {
    std::string content;
    for (const std::string& text : texts) {
      absl::StrAppend(&content,
                      text[0] == '!' ? text.substr(1) : "2026-01-02T03:04:05.678901234Z stdout F " + text + "\n");
    }
    const std::string path = directory_ + "/" + name;
    ASSERT_TRUE(WriteFileAtomic(path, content, 0600, Durability::kVolatile).ok());
    files_.push_back(path);
  }
  absl::StatusOr<NumberedLog> Read() { return ReadNumberedLog(files_, "tick"); }

  std::string directory_;
  std::vector<std::string> files_;
};

TEST_F(NumberedLogTest, LinesGoOnFromFileToFile) {
  Write("0", {"tick 0", "tick 1"});
  Write("1", {});
  Write("2", {"tick 2", "end"});
  const auto log = Read();
  ASSERT_TRUE(log.ok()) << log.status();
  EXPECT_EQ(log->lines, 3u);
  EXPECT_EQ(log->after, "end");
}

TEST_F(NumberedLogTest, ALineThatIsBeingWrittenIsNotSeenYet) {
  Write("0", {"tick 0", "!2026-01-02T03:04:05.678901234Z stdout F ti"});
  const auto log = Read();
  ASSERT_TRUE(log.ok()) << log.status();
  EXPECT_EQ(log->lines, 1u);
}

TEST_F(NumberedLogTest, EachDeviationIsFound) {
  for (const std::vector<std::string>& texts :
       std::vector<std::vector<std::string>>{{"tick 1"},                   // the first is lost
                                             {"tick 0", "tick 2"},         // a gap
                                             {"tick 0", "tick 0"},         // doubled
                                             {"tick 0", "end", "tick 1"},  // something behind the end
                                             {"tick 0", "!garbage\n"},     // torn
                                             {"!2026-01-02T03:04:05Z stdout P tick 0\n"},
                                             {"!2026-01-02T03:04:05Z stderr F tick 0\n"}}) {
    files_.clear();
    Write("0", texts);
    EXPECT_EQ(Read().status().code(), absl::StatusCode::kDataLoss) << texts.back();
  }
}

}  // namespace
}  // namespace berth
