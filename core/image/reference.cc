#include "core/image/reference.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/status.h"
#include "core/oci/digest.h"

namespace berth {
namespace {

constexpr size_t kMaxReference = 4096;
constexpr size_t kMaxName = 255;  // host and path together
constexpr size_t kMaxTag = 128;
constexpr absl::string_view kDefaultHost = "docker.io";
constexpr absl::string_view kOfficial = "library/";

bool IsLowerAlnum(char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c); }
bool IsHexDigit(char c) { return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f'); }
bool IsHex64(absl::string_view text) { return text.size() == 64 && std::all_of(text.begin(), text.end(), IsHexDigit); }

// alnum runs, separated by one of: '.', '_', "__", any number of '-'.
bool IsPathComponent(absl::string_view part) {
  if (part.empty() || !IsLowerAlnum(part.front()) || !IsLowerAlnum(part.back())) return false;
  for (size_t i = 0; i < part.size();) {
    if (IsLowerAlnum(part[i])) {
      ++i;
      continue;
    }
    size_t end = i;
    while (!IsLowerAlnum(part[end])) ++end;
    const absl::string_view separator = part.substr(i, end - i);
    const bool dashes = separator.find_first_not_of('-') == separator.npos;
    if (!dashes && separator != "." && separator != "_" && separator != "__") return false;
    i = end;
  }
  return true;
}

bool IsDomainComponent(absl::string_view part) {
  if (part.empty() || part.front() == '-' || part.back() == '-') return false;
  return std::all_of(part.begin(), part.end(), [](char c) { return absl::ascii_isalnum(c) || c == '-'; });
}

bool IsPort(absl::string_view port) {
  return !port.empty() && port.size() <= 5 && std::all_of(port.begin(), port.end(), absl::ascii_isdigit);
}

bool IsIpv6Literal(absl::string_view text) {
  return text.size() >= 4 && text.front() == '[' && text.back() == ']' &&
         std::all_of(text.begin() + 1, text.end() - 1, [](char c) { return absl::ascii_isxdigit(c) || c == ':'; });
}

bool IsHost(absl::string_view host) {
  const size_t bracket = host.rfind(']');
  const size_t colon = host.find(':', bracket == host.npos ? 0 : bracket);
  if (colon != host.npos && !IsPort(host.substr(colon + 1))) return false;
  const absl::string_view name = host.substr(0, colon);
  if (bracket != host.npos) return IsIpv6Literal(name);
  const std::vector<absl::string_view> parts = absl::StrSplit(name, '.');
  return std::all_of(parts.begin(), parts.end(), IsDomainComponent);
}

// The first component is a host when it can't be the first part of a name on the default host.
bool LooksLikeHost(absl::string_view first) {
  return first.find_first_of(".:") != first.npos || first == "localhost" ||
         std::any_of(first.begin(), first.end(), absl::ascii_isupper);
}

bool IsTag(absl::string_view tag) {
  if (tag.empty() || tag.size() > kMaxTag || tag.front() == '.' || tag.front() == '-') return false;
  return std::all_of(tag.begin(), tag.end(),
                     [](char c) { return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '-'; });
}

// For messages: the reference comes from outside and may hold anything.
std::string Shown(absl::string_view text) {
  std::string shown;
  for (char c : text.substr(0, 300)) shown += absl::ascii_isprint(c) ? c : '?';
  if (text.size() > 300) shown += "...";
  return shown;
}

absl::Status Invalid(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("image reference \"", Shown(text), "\": ", why));
}

absl::Status SplitName(absl::string_view text, absl::string_view name, ImageReference* reference) {
  const size_t slash = name.find('/');
  if (slash != name.npos && LooksLikeHost(name.substr(0, slash))) {
    reference->host = std::string(name.substr(0, slash));
    name.remove_prefix(slash + 1);
    if (!IsHost(reference->host)) return Invalid(text, "the host is not HOST or HOST:PORT");
  } else {
    reference->host = std::string(kDefaultHost);
  }
  if (reference->host == "index.docker.io") reference->host = std::string(kDefaultHost);
  if (reference->host == kDefaultHost && name.find('/') == name.npos) {
    reference->path = absl::StrCat(kOfficial, name);
  } else {
    reference->path = std::string(name);
  }
  if (name.empty()) return Invalid(text, "it has no repository name");
  for (absl::string_view part : absl::StrSplit(name, '/')) {
    if (IsPathComponent(part)) continue;
    if (part.empty()) return Invalid(text, "the repository has an empty path component");
    const bool upper = std::any_of(part.begin(), part.end(), absl::ascii_isupper);
    return Invalid(text, upper ? "the repository must be in lower case"
                               : "the repository may hold a-z, 0-9 and single . _ __ - between them");
  }
  if (reference->host.size() + 1 + reference->path.size() > kMaxName)
    return Invalid(text, absl::StrCat("host and repository are longer than ", kMaxName, " bytes"));
  return absl::OkStatus();
}

}  // namespace

std::string ImageReference::Repository() const { return absl::StrCat(host, "/", path); }

std::string ImageReference::Tagged() const { return tag.empty() ? "" : absl::StrCat(host, "/", path, ":", tag); }

std::string ImageReference::Digested() const {
  return digest.empty() ? "" : absl::StrCat(host, "/", path, "@", digest);
}

std::string ImageReference::Normalised() const { return digest.empty() ? Tagged() : Digested(); }

absl::StatusOr<ImageReference> ParseImageReference(absl::string_view text) {
  if (text.empty()) return absl::InvalidArgumentError("image reference is empty");
  if (text.size() > kMaxReference) return Invalid(text, absl::StrCat("longer than ", kMaxReference, " bytes"));
  if (IsHex64(text)) return Invalid(text, "64 hexadecimal digits are an image id, not a name");
  ImageReference reference;
  absl::string_view name = text;
  if (const size_t at = name.find('@'); at != name.npos) {
    reference.digest = std::string(name.substr(at + 1));
    name = name.substr(0, at);
    if (!Digest::Parse(reference.digest).ok())
      return Invalid(text, "the digest after @ is not sha256: and 64 lowercase hexadecimal digits");
  }
  const size_t slash = name.rfind('/');
  const size_t colon = name.find(':', slash == name.npos ? 0 : slash);
  if (colon != name.npos) {
    reference.tag = std::string(name.substr(colon + 1));
    name = name.substr(0, colon);
    if (!IsTag(reference.tag))
      return Invalid(text, "the tag is not 1 to 128 of A-Z a-z 0-9 _ . - (not beginning with . or -)");
  }
  RETURN_IF_ERROR(SplitName(text, name, &reference));
  if (reference.tag.empty() && reference.digest.empty()) reference.tag = "latest";
  return reference;
}

}  // namespace berth
