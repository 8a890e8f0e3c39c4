#include "plugins/executor_oci/error_text.h"

#include <algorithm>
#include <cctype>
#include <initializer_list>
#include <vector>

#include "plugins/json/bounded_json.h"

namespace berth::executor_oci {
namespace {

constexpr size_t kMaxText = 700;  // an error of the ABI carries 1008 bytes, some of them for what was attempted
constexpr size_t kMaxLine = 64 << 10;

struct Line {
  std::string level, message;  // level "": not a log line
};

// The value of `key` in a logfmt line: bare, or quoted with backslash escapes. "" if there is none.
std::string LogfmtValue(std::string_view line, std::string_view key) {
  const std::string needle = std::string(key) + "=";
  size_t at = line.find(needle);
  while (at != std::string_view::npos && at != 0 && line[at - 1] != ' ') at = line.find(needle, at + 1);
  if (at == std::string_view::npos) return "";
  at += needle.size();
  if (at == line.size() || line[at] != '"') return std::string(line.substr(at, line.find(' ', at) - at));
  std::string out;
  for (++at; at < line.size() && line[at] != '"'; ++at) {
    if (line[at] != '\\' || at + 1 == line.size()) {
      out += line[at];
    } else {
      ++at;
      out += line[at] == 'n' || line[at] == 't' ? ' ' : line[at];
    }
  }
  return out;
}

Line ParseLine(std::string_view text) {
  if (text.substr(0, 1) == "{") {
    const auto parsed = json::Parse(text, "log line", kMaxLine);
    if (parsed.ok()) {
      const std::string message = json::StringMember(*parsed, "msg");
      if (!message.empty()) return Line{json::StringMember(*parsed, "level", "error"), message};
    }
  }
  if (text.substr(0, 5) == "time=" || text.substr(0, 6) == "level=") {
    const std::string level = LogfmtValue(text, "level"), message = LogfmtValue(text, "msg");
    if (!level.empty() && !message.empty()) return Line{level, message};
  }
  return Line{"", std::string(text)};
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return text;
}

std::vector<Line> ParseLines(std::string_view err) {
  std::vector<Line> out;
  while (!err.empty()) {
    const size_t end = std::min(err.find('\n'), err.size());
    if (const std::string_view text = Trimmed(err.substr(0, end)); !text.empty()) out.push_back(ParseLine(text));
    err.remove_prefix(std::min(end + 1, err.size()));
  }
  return out;
}

bool IsError(const Line& line) { return line.level == "error" || line.level == "fatal" || line.level == "panic"; }

// How many bytes at `i` are one well-formed UTF-8 character; 0: none are.
size_t CharacterBytes(std::string_view s, size_t i) {
  const auto byte = [&](size_t k) { return k < s.size() ? static_cast<unsigned char>(s[k]) : 0u; };
  const unsigned first = byte(i);
  if (first < 0x80) return 1;
  const size_t size = first >= 0xC2 && first < 0xE0 ? 2 : first >= 0xE0 && first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
  if (first < 0xC2 || size == 0) return 0;
  for (size_t k = 1; k < size; ++k) {
    if ((byte(i + k) & 0xC0) != 0x80) return 0;
  }
  const unsigned second = byte(i + 1);
  const bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
  const bool beyond = (first == 0xED && second >= 0xA0) || (first == 0xF4 && second >= 0x90);
  return overlong || beyond ? 0 : size;
}

// Fit for a protobuf string and a log line: what is not UTF-8 becomes '?', control characters become spaces.
std::string Sanitized(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const size_t size = CharacterBytes(text, i);
    if (size == 0) {
      out += '?';
    } else if (size == 1 && (static_cast<unsigned char>(text[i]) < 0x20 || text[i] == 0x7f)) {
      out += ' ';
    } else {
      out += text.substr(i, size);
    }
    i += std::max<size_t>(size, 1);
  }
  return out;
}

std::string Lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(tolower(c)); });
  return out;
}

bool Contains(std::string_view text, std::string_view what) { return text.find(what) != std::string_view::npos; }

bool ContainsAny(std::string_view text, std::initializer_list<std::string_view> whats) {
  return std::any_of(whats.begin(), whats.end(), [&](std::string_view what) { return Contains(text, what); });
}

// Of the program to be run in the container: runc quotes it after `exec: `, crun has its own words.
bool IsAboutTheProgram(std::string_view text) {
  return ContainsAny(text,
                     {"exec: \"", "executable file", "open executable", "exec container process", "find executable"});
}

}  // namespace

std::string ErrorText(std::string_view err) {
  const std::vector<Line> lines = ParseLines(err);
  const bool has_errors = std::any_of(lines.begin(), lines.end(), IsError);
  std::vector<std::string> messages;
  for (const Line& line : lines) {
    if (has_errors && !IsError(line)) continue;
    std::string message = Sanitized(line.message);
    if (std::find(messages.begin(), messages.end(), message) == messages.end()) messages.push_back(std::move(message));
  }
  std::string out;
  for (const std::string& message : messages) out += (out.empty() ? "" : "; ") + message;
  if (out.size() <= kMaxText) return out;
  size_t cut = out.size() - kMaxText;
  while (cut < out.size() && (static_cast<unsigned char>(out[cut]) & 0xC0) == 0x80) ++cut;
  return "..." + out.substr(cut);
}

bool IsUnknownContainer(std::string_view text, std::string_view id) {
  const std::string lower = Lower(text), lower_id = Lower(id);
  if (Contains(lower, "container does not exist") || Contains(lower, "container `" + lower_id + "` does not exist")) {
    return true;
  }
  // crun tells of its own files only.
  return Contains(lower, "no such file or directory") &&
         (Contains(lower, "/" + lower_id + "/status`") ||
          (Contains(lower, "cannot open directory") && Contains(lower, "/" + lower_id + "'")));
}

sdk::Code CodeOfText(std::string_view command, std::string_view original, std::string_view id) {
  const std::string text = Lower(original);
  if (command == "create" && Contains(text, "container") && Contains(text, "already exists")) {
    return sdk::Code::kAlreadyExists;
  }
  if (command != "create" && IsUnknownContainer(original, id)) return sdk::Code::kNotFound;
  if (IsAboutTheProgram(text)) {
    if (ContainsAny(text, {"not found", "no such file or directory"})) return sdk::Code::kNotFound;
    if (ContainsAny(text, {"permission denied", "not permitted"})) return sdk::Code::kPermissionDenied;
  }
  if (ContainsAny(text, {"no space left on device", "cannot allocate memory", "too many open files",
                         "resource temporarily unavailable"})) {
    return sdk::Code::kResourceExhausted;
  }
  if (ContainsAny(text, {"not running", "is paused", "paused container", "already running", "has stopped",
                         "stopped container", "not paused", "not stopped", "`created` or `stopped`", "exec.fifo",
                         "unknown version specified", "device or resource busy", "unable to set memory limit"})) {
    return sdk::Code::kFailedPrecondition;
  }
  if (command == "update" && Contains(text, "invalid argument")) return sdk::Code::kInvalidArgument;
  return sdk::Code::kInternal;
}

}  // namespace berth::executor_oci
