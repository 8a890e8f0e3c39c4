#include "plugins/registry_layout/image_names.h"

#include <algorithm>

namespace berth::registry_layout {
namespace {

constexpr size_t kMaxName = 255, kMaxTag = 128;

bool IsLowerOrDigit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool IsAlphaNumeric(char c) { return IsLowerOrDigit(c) || (c >= 'A' && c <= 'Z'); }

bool IsTag(std::string_view tag) {
  return !tag.empty() && tag.size() <= kMaxTag && tag[0] != '.' && tag[0] != '-' &&
         std::all_of(tag.begin(), tag.end(),
                     [](char c) { return IsAlphaNumeric(c) || c == '_' || c == '.' || c == '-'; });
}

bool IsHost(std::string_view host) {
  return !host.empty() && std::all_of(host.begin(), host.end(), [](char c) {
    return IsAlphaNumeric(c) || c == '.' || c == '-' || c == ':' || c == '[' || c == ']';
  });
}

// Components of lowercase letters, digits and separators between them.
bool IsRepositoryPath(std::string_view path) {
  char before = '/';
  for (const char c : path) {
    const bool separator = c == '.' || c == '_' || c == '-';
    if (!IsLowerOrDigit(c) && !separator && c != '/') return false;
    if (!IsLowerOrDigit(c) && before == '/') return false;
    if (c == '/' && !IsLowerOrDigit(before)) return false;
    before = c;
  }
  return IsLowerOrDigit(before);
}

bool LooksLikeHost(std::string_view first) {
  return first == "localhost" || first.find_first_of(".:") != std::string_view::npos;
}

void AddUnique(std::vector<std::string>& names, std::string name) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
}

}  // namespace

bool IsSha256(std::string_view digest) {
  if (!digest.starts_with("sha256:") || digest.size() != 71) return false;
  return std::all_of(digest.begin() + 7, digest.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::optional<ImageName> ParseImageName(std::string_view text) {
  const size_t at = text.find('@');
  if (at != std::string_view::npos && !IsSha256(text.substr(at + 1))) return std::nullopt;
  text = text.substr(0, at);
  ImageName out;
  out.tag = "latest";
  const size_t colon = text.rfind(':'), slash = text.rfind('/');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    out.tag = text.substr(colon + 1);
    text = text.substr(0, colon);
  }
  const size_t first = text.find('/');
  std::string_view host = "docker.io", path = text;
  if (first != std::string_view::npos && LooksLikeHost(text.substr(0, first))) {
    host = text.substr(0, first);
    path = text.substr(first + 1);
  }
  if (host == "index.docker.io") host = "docker.io";
  if (!IsHost(host) || !IsRepositoryPath(path) || !IsTag(out.tag)) return std::nullopt;
  out.repository = std::string(host) + "/";
  if (host == "docker.io" && path.find('/') == std::string_view::npos) out.repository += "library/";
  out.repository += path;
  if (out.repository.size() > kMaxName) return std::nullopt;
  return out;
}

std::vector<std::string> ImageNames(const NameSources& sources, std::string_view path) {
  std::vector<std::string> names;
  const auto add = [&](std::string_view text) {
    if (const auto name = ParseImageName(text)) AddUnique(names, name->Full());
  };
  add(sources.containerd_name);
  for (const std::string& tag : sources.repo_tags) add(tag);
  const std::optional<ImageName> spelled = ParseImageName(path);
  const std::string& ref = sources.ref_name;
  if (ref.find_first_of(":/") != std::string::npos || (!ref.empty() && !spelled)) {
    add(ref);
  } else if (IsTag(ref) && names.empty()) {
    AddUnique(names, spelled->repository + ":" + ref);
  } else if (ref.empty() && names.empty() && sources.only_image && spelled) {
    AddUnique(names, spelled->Full());
  }
  return names;
}

}  // namespace berth::registry_layout
