#include "core/base/file_identity.h"

#include <linux/securebits.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace berth {

absl::StatusOr<std::unique_ptr<FileIdentity>> FileIdentity::Assume(uint32_t uid, uint32_t gid) {
  const int bits = prctl(PR_GET_SECUREBITS);
  if (bits < 0 || prctl(PR_SET_SECUREBITS, static_cast<unsigned long>(bits) | SECBIT_NO_SETUID_FIXUP) != 0) {
    return ErrnoStatus("keep capabilities while making files for another user (CAP_SETPCAP)");
  }
  std::unique_ptr<FileIdentity> identity(new FileIdentity(bits));
  setfsgid(gid);
  setfsuid(uid);
  // The calls answer the id before, whether they succeed or not: -1 is no id and only asks.
  if (static_cast<uint32_t>(setfsgid(-1)) != gid || static_cast<uint32_t>(setfsuid(-1)) != uid) {
    return absl::PermissionDeniedError(absl::StrCat("make files as user ", uid, ", group ", gid, ": not permitted"));
  }
  return identity;
}

FileIdentity::~FileIdentity() {
  setfsuid(geteuid());
  setfsgid(getegid());
  prctl(PR_SET_SECUREBITS, static_cast<unsigned long>(secure_bits_));
}

}  // namespace berth
