// Structured log lines on stderr: `time=... level=info msg="pod started" pod=...`. One write(2) per line, any thread.
// Values must never be secrets: registry credentials have no type that can be put in a field.
#ifndef BERTH_CORE_BASE_LOG_H_
#define BERTH_CORE_BASE_LOG_H_

#include <initializer_list>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace berth {

enum class LogLevel : int { kDebug = 0, kInfo = 1, kWarn = 2, kError = 3 };

struct LogField {
  LogField(absl::string_view k, const absl::AlphaNum& v) : key(k), value(v.Piece()) {}
  absl::string_view key;
  std::string value;
};

// Lines below this level are dropped. The default is kInfo.
void SetLogLevel(LogLevel level);
bool LogEnabled(LogLevel level);

void Log(LogLevel level, absl::string_view message, std::initializer_list<LogField> fields = {});

inline void LogDebug(absl::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kDebug, message, fields);
}
inline void LogInfo(absl::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kInfo, message, fields);
}
inline void LogWarn(absl::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kWarn, message, fields);
}
inline void LogError(absl::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kError, message, fields);
}

// The text of one line without its time, for tests: quoted where logfmt asks for it, control bytes escaped.
std::string FormatLogLine(LogLevel level, absl::string_view message, std::initializer_list<LogField> fields);

}  // namespace berth

#endif  // BERTH_CORE_BASE_LOG_H_
