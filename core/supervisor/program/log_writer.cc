#include "core/supervisor/program/log_writer.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

namespace berth::supervisor {
namespace {

// Batches are shared by all containers: one thread, and a batch never outlives a Write.
struct Batch {
  static constexpr int kMaxVectors = 512;
  char prefix[2][48];  // of partial and of full lines
  size_t prefix_size = 0;
  iovec vectors[kMaxVectors];
  int used = 0;
  uint64_t lines = 0;
};
Batch batch;

constexpr char kNewline[] = "\n";

// O_NONBLOCK: a FIFO or a device in that place must not hang us; it is refused afterwards.
Error OpenLog(const std::string& path, UniqueFd* out) {
  open_how how = {};
  how.flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  how.mode = 0640;
  how.resolve = RESOLVE_NO_MAGICLINKS;
  UniqueFd fd(static_cast<int>(syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof(how))));
  if (!fd) return Errno(Concat({"open log ", path}));
  struct stat st;
  if (fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode)) {
    return Fail(wire::kFailedPrecondition, Concat({"open log ", path, ": not a regular file"}));
  }
  *out = std::move(fd);
  return Ok();
}

void PutDigits(char* out, int width, int64_t value) {
  for (int i = width - 1; i >= 0; --i, value /= 10) out[i] = static_cast<char>('0' + value % 10);
}

void StartBatch(LogStream stream) {
  size_t size = FormatLogTime(UnixNanos(), batch.prefix[0]);
  memcpy(batch.prefix[0] + size, stream == LogStream::kStdout ? " stdout P " : " stderr P ", 10);
  batch.prefix_size = size + 10;
  memcpy(batch.prefix[1], batch.prefix[0], batch.prefix_size);
  batch.prefix[1][batch.prefix_size - 2] = 'F';
}

void AddVector(std::string_view bytes) {
  if (!bytes.empty()) batch.vectors[batch.used++] = {const_cast<char*>(bytes.data()), bytes.size()};
}

}  // namespace

size_t FormatLogTime(int64_t unix_ns, char* out) {
  int64_t seconds = unix_ns / 1000000000, days = seconds / 86400, rest = seconds % 86400;
  // Days since the epoch to a civil date, with the year starting in March so that leap days come last.
  int64_t z = days + 719468, era = z / 146097, day_of_era = z % 146097;
  int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  int64_t month = (5 * day_of_year + 2) / 153;
  int64_t day = day_of_year - (153 * month + 2) / 5 + 1;
  month = month < 10 ? month + 3 : month - 9;
  memcpy(out, "0000-00-00T00:00:00.000000000Z", 30);
  PutDigits(out, 4, year_of_era + era * 400 + (month <= 2 ? 1 : 0));
  PutDigits(out + 5, 2, month);
  PutDigits(out + 8, 2, day);
  PutDigits(out + 11, 2, rest / 3600);
  PutDigits(out + 14, 2, rest / 60 % 60);
  PutDigits(out + 17, 2, rest % 60);
  PutDigits(out + 20, 9, unix_ns % 1000000000);
  return 30;
}

Error LogWriter::Open(const std::string& path, bool strip_cr) {
  path_ = path;
  strip_cr_ = strip_cr;
  return Reopen();
}

Error LogWriter::Reopen() {
  if (path_.empty()) return Ok();
  UniqueFd fresh;
  BERTH_TRY(OpenLog(path_, &fresh));
  file_ = std::move(fresh);
  torn_ = false;
  return Ok();
}

void LogWriter::Write(LogStream stream, std::string_view data) {
  if (!file_) return;
  StartBatch(stream);
  std::string& carry = carry_[static_cast<int>(stream)];
  std::string carried = std::move(carry);
  carry.clear();
  while (!data.empty()) {
    size_t room = kLogPartLimit - carried.size();
    const void* lf = memchr(data.data(), '\n', data.size() < room + 1 ? data.size() : room + 1);
    if (lf != nullptr) {
      size_t length = static_cast<size_t>(static_cast<const char*>(lf) - data.data());
      AddLine(carried, data.substr(0, length + 1));
      data.remove_prefix(length + 1);
    } else if (data.size() > room) {
      AddPart(carried, data.substr(0, room));
      data.remove_prefix(room);
    } else {
      break;
    }
    if (!carried.empty()) {
      Flush();  // the batch refers to it
      carried = std::string();
    }
  }
  Flush();
  carried.append(data);
  carry = std::move(carried);
}

void LogWriter::Finish(LogStream stream) {
  std::string rest = std::move(carry_[static_cast<int>(stream)]);
  carry_[static_cast<int>(stream)].clear();
  if (!file_ || rest.empty()) return;
  StartBatch(stream);
  AddPart(rest, {});
  Flush();
}

// `line` ends with its line feed, which is written as it is.
void LogWriter::AddLine(std::string_view carried, std::string_view line) {
  MakeRoom();
  AddVector({batch.prefix[1], batch.prefix_size});
  bool strip =
      strip_cr_ && (line.size() > 1 ? line[line.size() - 2] == '\r' : !carried.empty() && carried.back() == '\r');
  if (!strip) {
    AddVector(carried);
    AddVector(line);
  } else if (line.size() > 1) {
    AddVector(carried);
    AddVector(line.substr(0, line.size() - 2));
    AddVector(kNewline);
  } else {
    AddVector(carried.substr(0, carried.size() - 1));
    AddVector(kNewline);
  }
  ++batch.lines;
}

void LogWriter::AddPart(std::string_view carried, std::string_view part) {
  MakeRoom();
  AddVector({batch.prefix[0], batch.prefix_size});
  AddVector(carried);
  AddVector(part);
  AddVector(kNewline);
  ++batch.lines;
}

void LogWriter::MakeRoom() {
  if (batch.used + 5 > Batch::kMaxVectors) Flush();
}

void LogWriter::Flush() {
  iovec* next = batch.vectors;
  int left = std::exchange(batch.used, 0);
  uint64_t lines = std::exchange(batch.lines, 0);
  if (left == 0) return;
  // A torn line is ended before anything follows it, so that one lost line garbles no other.
  if (torn_ && write(file_.get(), kNewline, 1) != 1) {
    dropped_ += lines;
    return;
  }
  torn_ = false;
  while (left > 0) {
    ssize_t n = writev(file_.get(), next, left);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      dropped_ += LinesLeft(next, left);
      return;
    }
    size_t done = static_cast<size_t>(n);
    for (; left > 0 && done >= next->iov_len; ++next, --left) {
      done -= next->iov_len;
      torn_ = static_cast<const char*>(next->iov_base)[next->iov_len - 1] != '\n';
    }
    if (left > 0 && done > 0) {
      next->iov_base = static_cast<char*>(next->iov_base) + done;
      next->iov_len -= done;
      torn_ = true;
    }
  }
}

// Lines whose last vector was not written: each ends with a line feed, and only there.
uint64_t LogWriter::LinesLeft(const iovec* vectors, int count) {
  uint64_t lines = 0;
  for (int i = 0; i < count; ++i) {
    if (static_cast<const char*>(vectors[i].iov_base)[vectors[i].iov_len - 1] == '\n') ++lines;
  }
  return lines;
}

}  // namespace berth::supervisor
