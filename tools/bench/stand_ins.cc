#include "tools/bench/stand_ins.h"

#include <unistd.h>

#include "core/base/file.h"
#include "core/base/status.h"

namespace berth {

absl::StatusOr<StandIns> StandIns::Make(const std::string& directory, const std::string& runfiles,
                                        const std::vector<std::string>& real) {
  RETURN_IF_ERROR(MakeDirs(directory + "/real"));
  ASSIGN_OR_RETURN(const std::string program, ReadFile(runfiles + "/tools/bench/timed", 64 << 20));
  for (const std::string& path : real) {
    const std::string name = path.substr(path.rfind('/'));
    RETURN_IF_ERROR(WriteFileAtomic(directory + name, program, 0755, Durability::kVolatile));
    if (symlink(path.c_str(), (directory + "/real" + name).c_str()) != 0) return ErrnoStatus("symlink to " + path);
  }
  StandIns made;
  made.directory_ = directory;
  return made;
}

absl::StatusOr<std::vector<ProcessTime>> StandIns::Take() {
  const std::string path = directory_ + "/times";
  const auto text = ReadFile(path, 256 << 20);
  if (absl::IsNotFound(text.status())) return std::vector<ProcessTime>();
  RETURN_IF_ERROR(text.status());
  if (unlink(path.c_str()) != 0) return ErrnoStatus("unlink " + path);
  return ParseProcessTimes(*text);
}

}  // namespace berth
