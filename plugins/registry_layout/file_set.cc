#include "plugins/registry_layout/file_set.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "plugins/registry_layout/read_at.h"

namespace berth::registry_layout {
namespace {

using sdk::Result;
using sdk::Status;
using sdk::UniqueFd;

int64_t Nanoseconds(const timespec& t) { return t.tv_sec * int64_t{1'000'000'000} + t.tv_nsec; }

class DirectoryFiles final : public FileSet {
 public:
  explicit DirectoryFiles(std::string path) : path_(std::move(path)) {}

  Result<Blob> Open(const std::string& name) const override {
    const UniqueFd dir(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!dir) return sdk::ErrnoStatus("open " + path_);
    Result<UniqueFd> file = OpenBeneath(dir.get(), name, O_RDONLY);
    if (!file.ok()) return sdk::Annotate(file.status(), path_);
    BERTH_ASSIGN_OR_RETURN(const FileIdentity identity, IdentityOf(file->get()));
    return Blob{*std::move(file), 0, identity.size};
  }

 private:
  const std::string path_;
};

class TarFiles final : public FileSet {
 public:
  TarFiles(std::string path, FileIdentity identity, TarIndex index)
      : path_(std::move(path)), identity_(identity), index_(std::move(index)) {}

  Result<Blob> Open(const std::string& name) const override {
    Result<TarIndex::Extent> extent = index_.Find(name);
    if (!extent.ok()) return sdk::Annotate(extent.status(), path_);
    UniqueFd file(open(path_.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    if (!file) return sdk::ErrnoStatus("open " + path_);
    BERTH_ASSIGN_OR_RETURN(const FileIdentity now, IdentityOf(file.get()));
    if (now != identity_) return Status(sdk::Code::kAborted, path_ + " changed while it was read");
    return Blob{std::move(file), extent->offset, extent->size};
  }

 private:
  const std::string path_;
  const FileIdentity identity_;
  const TarIndex index_;
};

}  // namespace

Result<UniqueFd> OpenBeneath(int dir, const std::string& path, int flags) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  UniqueFd fd(static_cast<int>(syscall(SYS_openat2, dir, path.c_str(), &how, sizeof(how))));
  if (!fd) return sdk::ErrnoStatus("open " + path);
  struct stat st {};
  if (fstat(fd.get(), &st) != 0) return sdk::ErrnoStatus("stat " + path);
  if (!(flags & O_DIRECTORY) && !S_ISREG(st.st_mode)) return sdk::FailedPrecondition(path + " is not a regular file");
  return fd;
}

Result<FileIdentity> IdentityOf(int fd) {
  struct stat st {};
  if (fstat(fd, &st) != 0) return sdk::ErrnoStatus("stat");
  return FileIdentity{st.st_dev, st.st_ino, static_cast<uint64_t>(st.st_size), Nanoseconds(st.st_mtim),
                      Nanoseconds(st.st_ctim)};
}

Result<std::string> FileSet::Read(const std::string& name, uint64_t max_size) const {
  BERTH_ASSIGN_OR_RETURN(const Blob blob, Open(name));
  if (blob.size > max_size) {
    return sdk::ResourceExhausted(name + " has " + std::to_string(blob.size) + " bytes, at most " +
                                  std::to_string(max_size) + " are read");
  }
  std::string out(blob.size, '\0');
  BERTH_RETURN_IF_ERROR(sdk::Annotate(ReadAt(blob.fd.get(), blob.offset, out.data(), out.size()), name));
  return out;
}

std::unique_ptr<FileSet> FilesOfDirectory(std::string path) {
  return std::make_unique<DirectoryFiles>(std::move(path));
}

std::unique_ptr<FileSet> FilesOfTar(std::string path, FileIdentity identity, TarIndex index) {
  return std::make_unique<TarFiles>(std::move(path), identity, std::move(index));
}

}  // namespace berth::registry_layout
