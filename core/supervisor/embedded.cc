#include "core/supervisor/embedded.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "core/base/status.h"

// embedded.S
extern "C" const char berth_supervisor_begin[], berth_supervisor_end[], berth_supervisor_build_id[];

namespace berth {
namespace {

constexpr size_t kBuildIdLength = 16;

// The whole contents are compared with what this binary carries, which says more than any hash of them.
bool IsIntact(const std::string& path) {
  absl::StatusOr<UniqueFd> file = OpenFile(path, O_RDONLY | O_NOFOLLOW);
  struct stat st;
  if (!file.ok() || fstat(file->get(), &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != 0 ||
      (st.st_mode & 07777) != 0755) {
    return false;
  }
  absl::StatusOr<std::string> contents = ReadAll(file->get());
  return contents.ok() && absl::string_view(*contents) == SupervisorProgram();
}

}  // namespace

absl::string_view SupervisorProgram() {
  return absl::string_view(berth_supervisor_begin, static_cast<size_t>(berth_supervisor_end - berth_supervisor_begin));
}

absl::string_view SupervisorBuildId() { return absl::string_view(berth_supervisor_build_id, kBuildIdLength); }

absl::StatusOr<std::string> InstallSupervisor(const std::string& directory) {
  RETURN_IF_ERROR(MakeDirs(directory, 0755));
  std::string path = absl::StrCat(directory, "/supervisor-", SupervisorBuildId());
  if (IsIntact(path)) return path;
  absl::Status written = WriteFileAtomic(path, SupervisorProgram(), 0755, Durability::kDurable);
  if (!written.ok()) return Annotate(written, "install the pod supervisor");
  if (!IsIntact(path)) return absl::DataLossError(absl::StrCat(path, " is not what was written to it"));
  return path;
}

}  // namespace berth
