#include "core/base/failpoint.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "core/base/status.h"

namespace berth {
namespace {

enum class Action { kOff, kReturn, kSleep, kCrash };

struct Term {
  std::optional<uint64_t> count;  // absent: for ever
  Action action = Action::kOff;
  uint64_t argument = 0;  // errno or milliseconds
};

struct Registry {
  std::mutex mutex;
  std::map<std::string, std::vector<Term>, std::less<>> terms;
  std::set<std::string, std::less<>> seen;
};

Registry& registry() {
  static auto* instance = new Registry;  // never destroyed: points are passed during exit too
  return *instance;
}

std::optional<int> ErrnoNumber(absl::string_view name) {
  for (int err = 1; err < 200; ++err) {
    const char* known = strerrorname_np(err);
    if (known != nullptr && name == known) return err;
  }
  return std::nullopt;
}

std::optional<absl::string_view> Argument(absl::string_view text, absl::string_view action) {
  if (!absl::ConsumePrefix(&text, action) || !absl::ConsumePrefix(&text, "(") || !absl::ConsumeSuffix(&text, ")")) {
    return std::nullopt;
  }
  return text;
}

absl::StatusOr<Term> ParseTerm(absl::string_view text) {
  const auto bad = [text] { return absl::InvalidArgumentError(absl::StrCat("failpoint term: ", text)); };
  Term term;
  absl::string_view action = text;
  if (const size_t star = action.find('*'); star != action.npos) {
    uint64_t count = 0;
    if (!absl::SimpleAtoi(action.substr(0, star), &count)) return bad();
    term.count = count;
    action.remove_prefix(star + 1);
  }
  if (action == "off") return term;
  if (action == "crash") {
    term.action = Action::kCrash;
    return term;
  }
  if (const auto name = Argument(action, "return")) {
    const auto err = ErrnoNumber(*name);
    if (!err) return bad();
    term.action = Action::kReturn;
    term.argument = *err;
    return term;
  }
  if (const auto ms = Argument(action, "sleep")) {
    if (!absl::SimpleAtoi(*ms, &term.argument)) return bad();
    term.action = Action::kSleep;
    return term;
  }
  return bad();
}

[[maybe_unused]] Term Next(absl::string_view name) {
  Registry& r = registry();
  std::lock_guard lock(r.mutex);
  if (r.seen.find(name) == r.seen.end()) r.seen.emplace(name);
  const auto found = r.terms.find(name);
  if (found == r.terms.end()) return {};
  for (Term& term : found->second) {
    if (!term.count) return term;
    if (*term.count > 0) {
      --*term.count;
      return term;
    }
  }
  return {};
}

}  // namespace

#ifdef BERTH_FAILPOINTS
namespace {

// A test that set a point which does not exist must not pass by accident.
void MustSet(absl::string_view spec, const char* where) {
  const absl::Status status = SetFailpoints(spec);
  if (status.ok()) return;
  dprintf(STDERR_FILENO, "%s: %s\n", where, std::string(status.message()).c_str());
  _exit(2);
}

// What tells one file from its successor under the same name, whose inode may be the same.
struct FileVersion {
  ino_t inode = 0;
  int64_t seconds = 0, nanos = 0;
  bool operator==(const FileVersion&) const = default;
};

void FollowFile() {
  static const char* const path = getenv("BERTH_FAILPOINTS_FILE");
  if (path == nullptr) return;
  static std::mutex mutex;
  static FileVersion known;
  struct stat st;
  FileVersion now;
  if (stat(path, &st) == 0) now = {st.st_ino, st.st_ctim.tv_sec, st.st_ctim.tv_nsec};
  std::lock_guard lock(mutex);
  if (now == known) return;
  known = now;
  std::ifstream file(path);
  MustSet(std::string(std::istreambuf_iterator<char>(file), {}), path);
}

void Trace(absl::string_view name) {
  static const char* const path = getenv("BERTH_FAILPOINTS_TRACE");
  if (path == nullptr) return;
  static const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const std::string line = absl::StrCat(name, "\n");
  (void)!write(fd, line.data(), line.size());
}

}  // namespace

absl::Status Failpoint(absl::string_view name) {
  [[maybe_unused]] static const bool loaded = [] {
    if (const char* spec = getenv("BERTH_FAILPOINTS")) MustSet(spec, "BERTH_FAILPOINTS");
    return true;
  }();
  FollowFile();
  Trace(name);
  const Term term = Next(name);
  switch (term.action) {
    case Action::kOff:
      return absl::OkStatus();
    case Action::kReturn:
      return ErrnoStatus(static_cast<int>(term.argument), absl::StrCat("failpoint ", name));
    case Action::kSleep:
      usleep(term.argument * 1000);
      return absl::OkStatus();
    case Action::kCrash:
      kill(getpid(), SIGKILL);
      _exit(137);
  }
  return absl::OkStatus();
}
#endif

absl::Status SetFailpoints(absl::string_view spec) {
  std::map<std::string, std::vector<Term>, std::less<>> parsed;
  for (absl::string_view point : absl::StrSplit(spec, ';', absl::SkipWhitespace())) {
    const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(point, absl::MaxSplits('=', 1));
    if (parts.second.empty()) return absl::InvalidArgumentError(absl::StrCat("failpoint without a term: ", point));
    std::vector<Term>& terms = parsed[std::string(parts.first)];
    for (absl::string_view text : absl::StrSplit(parts.second, "->")) {
      ASSIGN_OR_RETURN(Term term, ParseTerm(text));
      terms.push_back(term);
    }
  }
  Registry& r = registry();
  std::lock_guard lock(r.mutex);
  r.terms = std::move(parsed);
  return absl::OkStatus();
}

std::vector<std::string> FailpointsSeen() {
  Registry& r = registry();
  std::lock_guard lock(r.mutex);
  return {r.seen.begin(), r.seen.end()};
}

}  // namespace berth
