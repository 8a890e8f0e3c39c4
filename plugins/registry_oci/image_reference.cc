#include "plugins/registry_oci/image_reference.h"

#include <algorithm>

#include "plugins/registry_oci/text.h"

namespace berth::registry_oci {
namespace {

constexpr size_t kMaxName = 255, kMaxTag = 128, kMaxReference = 1024;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLowerOrDigit(char c) { return (c >= 'a' && c <= 'z') || IsDigit(c); }
bool IsAlphaNumeric(char c) { return IsLowerOrDigit(c) || (c >= 'A' && c <= 'Z'); }
bool IsHexDigit(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f'); }

template <class Predicate>
bool All(std::string_view text, Predicate predicate) {
  return std::all_of(text.begin(), text.end(), predicate);
}

// Labels of letters, digits and dashes with single dots between them: never ".." nor a leading dot.
bool IsHostName(std::string_view name) {
  char before = '.';
  for (const char c : name) {
    if (!IsAlphaNumeric(c) && c != '-' && c != '.') return false;
    if (c == '.' && before == '.') return false;
    before = c;
  }
  return before != '.';
}

bool IsIpv6Literal(std::string_view text) {
  return text.size() >= 4 && text.front() == '[' && text.back() == ']' &&
         All(text.substr(1, text.size() - 2),
             [](char c) { return IsHexDigit(c) || (c >= 'A' && c <= 'F') || c == ':' || c == '.'; });
}

// Components of lowercase letters, digits and separators, each beginning and ending with a letter or digit.
bool IsRepositoryPath(std::string_view path) {
  char before = '/';
  for (const char c : path) {
    if (!IsLowerOrDigit(c) && c != '.' && c != '_' && c != '-' && c != '/') return false;
    if (!IsLowerOrDigit(c) && before == '/') return false;
    if (c == '/' && !IsLowerOrDigit(before)) return false;
    if (c == '.' && before == '.') return false;
    before = c;
  }
  return IsLowerOrDigit(before);
}

bool IsTag(std::string_view tag) {
  return !tag.empty() && tag.size() <= kMaxTag && tag[0] != '.' && tag[0] != '-' &&
         All(tag, [](char c) { return IsAlphaNumeric(c) || c == '_' || c == '.' || c == '-'; });
}

sdk::Status Malformed(std::string_view text) {
  return sdk::InvalidArgument("\"" + Printable(text) + "\" is not HOST/PATH:TAG or HOST/PATH@DIGEST");
}

// The part before the port.
std::string_view NameOf(std::string_view host) {
  const size_t bracket = host.rfind(']');
  return host.substr(0, host.find(':', bracket == std::string_view::npos ? 0 : bracket));
}

}  // namespace

bool IsDigest(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view algorithm = text.substr(0, colon), hex = text.substr(colon + 1);
  const size_t size = algorithm == "sha256" ? 64 : algorithm == "sha512" ? 128 : 0;
  return size != 0 && hex.size() == size && All(hex, IsHexDigit);
}

bool IsHost(std::string_view text) {
  const std::string_view name = NameOf(text);
  std::string_view port = text.substr(name.size());
  if (!port.empty()) {
    port.remove_prefix(1);
    if (port.empty() || port.size() > 5 || !All(port, IsDigit)) return false;
  }
  return IsHostName(name) || IsIpv6Literal(name);
}

bool IsLoopback(std::string_view host) {
  const std::string_view name = NameOf(host);
  if (name == "localhost" || name == "[::1]") return true;
  return name.starts_with("127.") && All(name, [](char c) { return IsDigit(c) || c == '.'; });
}

sdk::Result<ImageReference> ParseReference(std::string_view text) {
  if (text.size() > kMaxReference) return Malformed(text);
  ImageReference out;
  std::string_view name = text;
  if (const size_t at = name.find('@'); at != std::string_view::npos) {
    out.digest = std::string(name.substr(at + 1));
    if (!IsDigest(out.digest)) return Malformed(text);
    name = name.substr(0, at);
  }
  const size_t slash = name.find('/');
  if (slash == std::string_view::npos) return Malformed(text);
  out.host = std::string(name.substr(0, slash));
  std::string_view path = name.substr(slash + 1);
  if (out.digest.empty()) {
    const size_t colon = path.rfind(':');
    if (colon == std::string_view::npos) return Malformed(text);
    out.tag = std::string(path.substr(colon + 1));
    if (!IsTag(out.tag)) return Malformed(text);
    path = path.substr(0, colon);
  }
  out.path = std::string(path);
  if (!IsHost(out.host) || !IsRepositoryPath(path) || name.size() > kMaxName + kMaxTag + 1) return Malformed(text);
  return out;
}

}  // namespace berth::registry_oci
