#include "plugins/registry_layout/layout_scan.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace berth::registry_layout {
namespace {

using sdk::Result;
using sdk::UniqueFd;

constexpr std::string_view kCompressed[] = {".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".tar.bz2"};

// The names in a directory, sorted, without those that begin with a dot.
Result<std::vector<std::string>> NamesIn(int dir, size_t limit) {
  UniqueFd own(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!own) return sdk::ErrnoStatus("open");
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(own.get()), &closedir);
  if (stream == nullptr) return sdk::ErrnoStatus("read");
  (void)own.release();  // the stream's now
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(stream.get())) {
    if (entry->d_name[0] == '.') continue;
    if (names.size() >= limit) return sdk::ResourceExhausted("more files than are looked at");
    names.emplace_back(entry->d_name);
    errno = 0;
  }
  if (errno != 0) return sdk::ErrnoStatus("read");
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::shared_ptr<const Layout>> ReadDirectory(const std::string& path, const std::string& relative) {
  auto layout = std::make_shared<Layout>();
  layout->path = path;
  layout->files = FilesOfDirectory(path);
  BERTH_ASSIGN_OR_RETURN(layout->contents, ReadOciLayout(*layout->files, relative));
  return std::shared_ptr<const Layout>(std::move(layout));
}

Result<std::shared_ptr<const Layout>> ReadTar(const std::string& path, const std::string& relative, int fd,
                                              const FileIdentity& identity) {
  BERTH_ASSIGN_OR_RETURN(TarIndex index, TarIndex::Read(fd, identity.size));
  // docker save writes both forms since version 25: the layout has the manifests as they were pushed.
  const bool oci = index.Find("oci-layout").ok() && index.Find("index.json").ok();
  const bool docker = index.Find("manifest.json").ok();
  auto layout = std::make_shared<Layout>();
  layout->path = path;
  layout->files = FilesOfTar(path, identity, std::move(index));
  if (!oci && !docker) {
    return sdk::InvalidArgument("neither an OCI layout (oci-layout, index.json) nor a docker archive (manifest.json)");
  }
  BERTH_ASSIGN_OR_RETURN(layout->contents,
                         oci ? ReadOciLayout(*layout->files, relative) : ReadDockerArchive(*layout->files, relative));
  return std::shared_ptr<const Layout>(std::move(layout));
}

}  // namespace

struct LayoutScanner::Walk {
  Scan scan;
  std::map<std::string, Known> seen;
  size_t entries = 0;
};

Scan LayoutScanner::Run() {
  const std::lock_guard<std::mutex> lock(mutex_);
  Walk walk;
  for (const std::string& directory : directories_) Visit(walk, directory, "", 0);
  known_ = std::move(walk.seen);
  return std::move(walk.scan);
}

void LayoutScanner::Visit(Walk& walk, const std::string& path, const std::string& relative, int depth) {
  // Only a configured directory itself may be a symbolic link.
  const int follow = depth == 0 ? 0 : O_NOFOLLOW;
  const UniqueFd dir(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | follow));
  if (!dir) {
    walk.scan.faults[path] = sdk::ErrnoStatus("open");
    return;
  }
  if (faccessat(dir.get(), "oci-layout", F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
    Result<UniqueFd> index = OpenBeneath(dir.get(), "index.json", O_RDONLY);
    if (!index.ok()) {
      walk.scan.faults[path] = index.status();
      return;
    }
    return Take(walk, path, relative, *std::move(index), false);
  }
  const Result<std::vector<std::string>> names = NamesIn(dir.get(), kMaxEntries - std::min(kMaxEntries, walk.entries));
  if (!names.ok()) {
    walk.scan.faults[path] = names.status();
    return;
  }
  walk.entries += names->size();
  for (const std::string& name : *names) {
    VisitEntry(walk, dir.get(), name, path + "/" + name, relative.empty() ? name : relative + "/" + name, depth);
  }
}

void LayoutScanner::VisitEntry(Walk& walk, int dir, const std::string& name, const std::string& path,
                               const std::string& relative, int depth) {
  struct stat st {};
  if (fstatat(dir, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return;  // gone since
  if (S_ISDIR(st.st_mode)) {
    if (depth >= kMaxDepth) {
      walk.scan.faults[path] = sdk::FailedPrecondition("too deep: not looked into");
      return;
    }
    return Visit(walk, path, relative, depth + 1);
  }
  if (!S_ISREG(st.st_mode)) return;
  if (name.ends_with(".tar")) {
    Result<UniqueFd> file = OpenBeneath(dir, name, O_RDONLY);
    if (!file.ok()) {
      walk.scan.faults[path] = file.status();
      return;
    }
    return Take(walk, path, relative.substr(0, relative.size() - 4), *std::move(file), true);
  }
  for (const std::string_view suffix : kCompressed) {
    if (name.ends_with(suffix)) {
      walk.scan.faults[path] = sdk::Unimplemented("compressed: decompress it, blobs are read in place");
    }
  }
}

// `watched`: the file whose change means that the layout has changed.
void LayoutScanner::Take(Walk& walk, const std::string& path, const std::string& relative, UniqueFd watched, bool tar) {
  const Result<FileIdentity> identity = IdentityOf(watched.get());
  if (!identity.ok()) {
    walk.scan.faults[path] = identity.status();
    return;
  }
  Known known;
  const auto before = known_.find(path);
  if (before != known_.end() && before->second.identity == *identity) {
    known = before->second;
  } else {
    known.identity = *identity;
    Result<std::shared_ptr<const Layout>> layout =
        tar ? ReadTar(path, relative, watched.get(), *identity) : ReadDirectory(path, relative);
    if (layout.ok()) {
      known.layout = *std::move(layout);
    } else {
      known.fault = layout.status();
    }
  }
  if (known.layout != nullptr) {
    walk.scan.layouts.push_back(known.layout);
  } else {
    walk.scan.faults[path] = known.fault;
  }
  walk.seen[path] = std::move(known);
}

}  // namespace berth::registry_layout
