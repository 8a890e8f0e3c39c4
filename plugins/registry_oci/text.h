// Small functions on text that came from outside.
#ifndef BERTH_PLUGINS_REGISTRY_OCI_TEXT_H_
#define BERTH_PLUGINS_REGISTRY_OCI_TEXT_H_

#include <string>
#include <string_view>

namespace berth::registry_oci {

// For messages: one line of ASCII, at most `limit` bytes.
inline std::string Printable(std::string_view text, size_t limit = 256) {
  std::string out(text.substr(0, limit));
  for (char& c : out) {
    if (c < ' ' || c > '~') c = c == '\n' || c == '\t' ? ' ' : '?';
  }
  if (text.size() > limit) out += "...";
  return out;
}

inline char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

inline std::string Lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = Lower(c);
  return out;
}

inline bool EqualsIgnoringCase(std::string_view a, std::string_view b) { return Lowered(a) == Lowered(b); }

// Without blanks at both ends.
inline std::string_view Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

}  // namespace berth::registry_oci

#endif  // BERTH_PLUGINS_REGISTRY_OCI_TEXT_H_
