#include "core/container/beside_mounts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "core/base/status.h"

namespace berth {

absl::StatusOr<std::string> BesideMounts::Add(const std::string& source, bool id_mapped,
                                              std::vector<std::string>* options) {
  struct stat st;
  struct statvfs fs;
  if (stat(source.c_str(), &st) != 0 || statvfs(source.c_str(), &fs) != 0) return ErrnoStatus("mount " + source);
  if (fs.f_flag & ST_NOSUID) options->push_back("nosuid");
  if (fs.f_flag & ST_NODEV) options->push_back("nodev");
  if (fs.f_flag & ST_NOEXEC) options->push_back("noexec");
  const std::string name = absl::StrCat("volumes/", next_++), place = absl::StrCat(bundle_, "/", name);
  // failpoint: container.bundle.make
  RETURN_IF_ERROR(MakeDirs(S_ISDIR(st.st_mode) ? place : bundle_ + "/volumes", 0711));
  if (!S_ISDIR(st.st_mode)) {
    RETURN_IF_ERROR(OpenFile(place, O_WRONLY | O_CREAT | O_NOFOLLOW, 0600).status());
  }
  RootfsMount mount{"", source, name, {"rbind", "x-berth.beside"}};
  if (id_mapped) mount.options.push_back("x-berth.idmap");
  mounts_->push_back(std::move(mount));
  return place;
}

}  // namespace berth
