#include "tools/bench/fresh_disk.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/base/subprocess.h"
#include "core/base/unique_fd.h"

namespace berth {
namespace {

absl::StatusOr<std::string> Output(const std::vector<std::string>& argv) {
  Command command;
  command.argv = argv;
  command.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  ASSIGN_OR_RETURN(const CommandResult result, RunCommand(command));
  if (result.wait_status == 0) return std::string(absl::StripAsciiWhitespace(result.out));
  return absl::InternalError(absl::StrCat(absl::StrJoin(argv, " "), ": ", result.err));
}

}  // namespace

absl::Status MountFreshDisk(const std::string& directory, uint64_t megabytes) {
  RETURN_IF_ERROR(MakeDirs(directory));
  const std::string disk = directory + ".disk";
  {
    const UniqueFd file(open(disk.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file) return ErrnoStatus("create " + disk);
    if (fallocate(file.get(), 0, 0, static_cast<off_t>(megabytes) << 20) != 0) return ErrnoStatus("fallocate " + disk);
  }
  // Nothing is left for the kernel to do later: it would run beside what is measured.
  RETURN_IF_ERROR(
      Output({"/usr/sbin/mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", disk}).status());
  ASSIGN_OR_RETURN(const std::string device, Output({"/usr/sbin/losetup", "--find", "--show", "--direct-io=on", disk}));
  absl::Status mounted;
  if (mount(device.c_str(), directory.c_str(), "ext4", 0, nullptr) != 0) {
    mounted = ErrnoStatus(absl::StrCat("mount ", device, " on ", directory));
  }
  // From here on it lives as long as its mount does.
  const absl::Status detached = Output({"/usr/sbin/losetup", "--detach", device}).status();
  return mounted.ok() ? detached : mounted;
}

}  // namespace berth
