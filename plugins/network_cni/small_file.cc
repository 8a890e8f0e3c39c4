#include "plugins/network_cni/small_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "berth/sdk/unique_fd.h"

namespace berth::network_cni {
namespace {

using sdk::ErrnoStatus;
using sdk::Result;
using sdk::Status;
using sdk::UniqueFd;

Status WriteAll(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t n = write(fd, data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus("write");
    data.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Status WriteNew(const std::string& path, std::string_view contents) {
  const UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return ErrnoStatus("open");
  return WriteAll(file.get(), contents);
}

}  // namespace

Result<std::string> ReadSmallFile(const std::string& path, size_t max_size) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file) return ErrnoStatus("open " + path);
  struct stat st {};
  if (fstat(file.get(), &st) != 0) return ErrnoStatus("stat " + path);
  if (!S_ISREG(st.st_mode)) return sdk::FailedPrecondition(path + ": not a regular file");
  std::string out;
  char buffer[4096];
  for (;;) {
    const ssize_t n = read(file.get(), buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus("read " + path);
    if (n == 0) return out;
    out.append(buffer, static_cast<size_t>(n));
    if (out.size() > max_size) {
      return sdk::ResourceExhausted(path + ": more than " + std::to_string(max_size) + " bytes");
    }
  }
}

Status AppendToFile(const std::string& path, std::string_view contents) {
  const UniqueFd file(open(path.c_str(), O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC));
  if (!file) return ErrnoStatus("open " + path);
  return sdk::Annotate(WriteAll(file.get(), contents), "append to " + path);
}

std::string TemporaryOf(const std::string& path) { return path + ".new"; }

Status WriteSmallFile(const std::string& path, std::string_view contents) {
  const std::string temporary = TemporaryOf(path);
  Status status = WriteNew(temporary, contents);
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) status = ErrnoStatus("rename");
  if (!status.ok()) unlink(temporary.c_str());
  return sdk::Annotate(status, "write " + path);
}

Status MakeDirectories(const std::string& path) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) return ErrnoStatus("create " + part);
    if (slash == std::string::npos) return {};
  }
}

}  // namespace berth::network_cni
