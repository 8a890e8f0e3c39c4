// The files of a layout, wherever they lie: in a directory, or inside a tar archive.
#ifndef BERTH_PLUGINS_REGISTRY_LAYOUT_FILE_SET_H_
#define BERTH_PLUGINS_REGISTRY_LAYOUT_FILE_SET_H_

#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "berth/sdk/status.h"
#include "berth/sdk/unique_fd.h"
#include "plugins/registry_layout/tar_index.h"

namespace berth::registry_layout {

// Bytes of an open file. Keeps it open.
struct Blob {
  sdk::UniqueFd fd;
  uint64_t offset = 0, size = 0;
};

// Opens `path` below `dir` without following any symbolic link and without leaving `dir`. With O_DIRECTORY in `flags`
// a directory, else a regular file; never blocks on a FIFO.
sdk::Result<sdk::UniqueFd> OpenBeneath(int dir, const std::string& path, int flags);

// Says whether a file is the one seen before, unchanged.
struct FileIdentity {
  uint64_t device = 0, inode = 0, size = 0;
  int64_t mtime_ns = 0, ctime_ns = 0;
  bool operator==(const FileIdentity&) const = default;
};
sdk::Result<FileIdentity> IdentityOf(int fd);

// Immutable; any thread.
class FileSet {
 public:
  virtual ~FileSet() = default;
  // kNotFound when there is no such file.
  virtual sdk::Result<Blob> Open(const std::string& name) const = 0;
  // A whole small file.
  sdk::Result<std::string> Read(const std::string& name, uint64_t max_size) const;
};

// `path` is a directory.
std::unique_ptr<FileSet> FilesOfDirectory(std::string path);
// `path` is the tar archive that `index` describes; Open fails with kAborted when it is not `identity` any more.
std::unique_ptr<FileSet> FilesOfTar(std::string path, FileIdentity identity, TarIndex index);

}  // namespace berth::registry_layout

#endif  // BERTH_PLUGINS_REGISTRY_LAYOUT_FILE_SET_H_
