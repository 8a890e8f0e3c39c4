#include "plugins/registry_oci/auth_challenge.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "plugins/registry_oci/text.h"

namespace berth::registry_oci {
namespace {

constexpr size_t kMaxField = 8 << 10, kMaxChallenges = 16, kMaxParams = 32;

// RFC 9110 section 5.6.2.
bool IsTokenChar(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
}

std::string_view TokenAtStart(std::string_view text) {
  return text.substr(0, std::find_if_not(text.begin(), text.end(), IsTokenChar) - text.begin());
}

// The next element of a comma-separated list, in which commas within quotes separate nothing.
std::string_view TakeElement(std::string_view* rest) {
  bool quoted = false;
  size_t at = 0;
  for (; at < rest->size(); ++at) {
    const char c = (*rest)[at];
    if (quoted && c == '\\') {
      ++at;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      break;
    }
  }
  const std::string_view element = rest->substr(0, at);
  rest->remove_prefix(std::min(at + 1, rest->size()));
  return Trimmed(element);
}

// A token, or a quoted string, that is all of `text`.
std::optional<std::string> Value(std::string_view text) {
  if (text.empty()) return std::nullopt;
  if (text[0] != '"') {
    if (TokenAtStart(text).size() != text.size()) return std::nullopt;
    return std::string(text);
  }
  std::string out;
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') return i + 1 == text.size() ? std::optional(out) : std::nullopt;
    if (text[i] == '\\' && ++i == text.size()) return std::nullopt;
    out += text[i];
  }
  return std::nullopt;
}

// NAME=VALUE.
bool AddParam(std::string_view text, AuthChallenge* challenge) {
  const std::string_view name = TokenAtStart(text);
  std::string_view rest = Trimmed(text.substr(name.size()));
  if (name.empty() || rest.empty() || rest[0] != '=') return false;
  rest.remove_prefix(1);
  std::optional<std::string> value = Value(Trimmed(rest));
  if (!value) return false;
  if (challenge->params.size() < kMaxParams) challenge->params.emplace(Lowered(name), *std::move(value));
  return true;
}

}  // namespace

std::vector<AuthChallenge> ParseChallenges(std::string_view field) {
  std::vector<AuthChallenge> out;
  std::string_view rest = field.substr(0, kMaxField);
  while (!rest.empty()) {
    const std::string_view element = TakeElement(&rest);
    if (element.empty()) continue;
    if (!out.empty() && AddParam(element, &out.back())) continue;
    const std::string_view scheme = TokenAtStart(element);
    const std::string_view first = element.substr(scheme.size());
    if (scheme.empty() || (!first.empty() && first[0] != ' ' && first[0] != '\t') || out.size() == kMaxChallenges) {
      break;
    }
    out.push_back({Lowered(scheme), {}});
    // What is no parameter is a token68, as Negotiate has: nothing that Berth could answer.
    AddParam(Trimmed(first), &out.back());
  }
  return out;
}

}  // namespace berth::registry_oci
