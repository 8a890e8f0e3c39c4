// Names of files inside an archive or a layout.
#ifndef BERTH_PLUGINS_REGISTRY_LAYOUT_ARCHIVE_PATH_H_
#define BERTH_PLUGINS_REGISTRY_LAYOUT_ARCHIVE_PATH_H_

#include <optional>
#include <string>
#include <string_view>

namespace berth::registry_layout {

// `name` without "." and empty components and with ".." resolved, seen from directory `base`. Nothing when it is
// absolute, has a NUL byte, or leaves the root.
inline std::optional<std::string> CleanPath(std::string_view base, std::string_view name) {
  if (name.find('\0') != std::string_view::npos || name.starts_with('/')) return std::nullopt;
  std::string out(base);
  while (!name.empty()) {
    const size_t slash = name.find('/');
    const std::string_view part = name.substr(0, slash);
    name.remove_prefix(slash == std::string_view::npos ? name.size() : slash + 1);
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (out.empty()) return std::nullopt;
      const size_t last = out.rfind('/');
      out.resize(last == std::string::npos ? 0 : last);
      continue;
    }
    if (!out.empty()) out += '/';
    out += part;
  }
  return out;
}

inline std::string_view ParentOf(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

}  // namespace berth::registry_layout

#endif  // BERTH_PLUGINS_REGISTRY_LAYOUT_ARCHIVE_PATH_H_
