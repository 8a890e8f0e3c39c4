// A container's CRI log: `2006-01-02T15:04:05.000000000Z stdout F line\n` (kubelet's kuberuntime/logs).
//
// Lines over 16384 bytes are cut into P parts; what the stream ends with, without a line feed, is a P too. A log that
// can't be written never holds the container up: its lines are dropped and counted.
#ifndef BERTH_CORE_SUPERVISOR_PROGRAM_LOG_WRITER_H_
#define BERTH_CORE_SUPERVISOR_PROGRAM_LOG_WRITER_H_

#include <sys/uio.h>

#include <string>
#include <string_view>

#include "core/base/unique_fd.h"
#include "core/supervisor/program/sys.h"

namespace berth::supervisor {

inline constexpr size_t kLogPartLimit = 16384;

enum class LogStream : uint8_t { kStdout = 0, kStderr = 1 };

class LogWriter {
 public:
  // "": everything is discarded. `strip_cr`: a terminal's lines end with \r\n.
  Error Open(const std::string& path, bool strip_cr);
  // Opens the path anew, for rotation. On an error nothing was created and the old file stays.
  Error Reopen();

  void Write(LogStream stream, std::string_view data);
  // The stream has ended: what is left of it is written.
  void Finish(LogStream stream);

  uint64_t dropped_lines() const { return dropped_; }

 private:
  void AddLine(std::string_view carried, std::string_view line);
  void AddPart(std::string_view carried, std::string_view part);
  void MakeRoom();
  void Flush();
  static uint64_t LinesLeft(const iovec* vectors, int count);

  std::string path_;
  UniqueFd file_;
  bool strip_cr_ = false;
  bool torn_ = false;     // the file ends in the middle of a line whose rest could not be written
  std::string carry_[2];  // the beginning of a line whose end has not come
  uint64_t dropped_ = 0;
};

// RFC 3339 in UTC with nine digits and a Z; at least 30 bytes of room. Returns the length.
size_t FormatLogTime(int64_t unix_ns, char* out);

}  // namespace berth::supervisor

#endif  // BERTH_CORE_SUPERVISOR_PROGRAM_LOG_WRITER_H_
