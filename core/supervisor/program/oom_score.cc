#include "core/supervisor/program/oom_score.h"

#include <string>

#include "core/supervisor/program/sys.h"

namespace berth::supervisor {
namespace {

constexpr char kFile[] = "/proc/self/oom_score_adj";
constexpr int64_t kHighest = 1000;

bool Read(const char* file, int64_t* value) {
  std::string text;
  if (!ReadFile(file, 32, &text).ok()) return false;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const bool negative = !text.empty() && text.front() == '-';
  if (!ParseDecimal(std::string_view(text).substr(negative ? 1 : 0), value)) return false;
  if (negative) *value = -*value;
  return true;
}

// A supervisor without it is as good as one with it, but for the day that memory runs out.
void Write(int64_t value) {
  Error unwritten = WriteExisting(kFile, Decimal(value));
  (void)unwritten;
}

}  // namespace

void SetOwnOomScore() {
  int64_t value = 0;
  if (Read(kFile, &value) && value < kHighest) Write(value + 1);
}

void DropOomProtection() {
  int64_t value = 0;
  if (Read(kFile, &value) && value < 0) Write(0);
}

void TakeOomScoreOf(pid_t pid) {
  int64_t value = 0;
  if (Read(Concat({"/proc/", Decimal(pid), "/oom_score_adj"}).c_str(), &value)) Write(value);
}

}  // namespace berth::supervisor
