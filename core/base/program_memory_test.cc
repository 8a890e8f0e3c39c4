#include "core/base/program_memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "core/base/file.h"

namespace berth {
namespace {

int64_t FileKilobytes() {
  const auto status = ReadFile("/proc/self/status");
  for (absl::string_view line : absl::StrSplit(*status, '\n')) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    int64_t kilobytes = 0;
    if (words.size() == 3 && words[0] == "RssFile:" && absl::SimpleAtoi(words[1], &kilobytes)) return kilobytes;
  }
  return -1;
}

int relocated = 7;
int* const volatile kRelocated = &relocated;  // read-only after relocation

TEST(ProgramMemoryTest, TheProgramRunsOn) {
  const int64_t before = FileKilobytes();
  ASSERT_GT(before, 0);
  PageOutProgram();
  const int64_t after = FileKilobytes();
  // No more than "not more": a second copy of this test that runs now shares the pages, which keeps them.
  EXPECT_LE(after, before);
  RecordProperty("kilobytes_before", std::to_string(before));
  RecordProperty("kilobytes_after", std::to_string(after));
  EXPECT_EQ(*kRelocated, 7);
  std::vector<int> numbers(1000);
  std::iota(numbers.begin(), numbers.end(), 1);
  EXPECT_EQ(std::accumulate(numbers.begin(), numbers.end(), 0), 500500);
  EXPECT_THROW(throw std::string("unwound through pages that were away"), std::string);
  PageOutProgram();
}

}  // namespace
}  // namespace berth
