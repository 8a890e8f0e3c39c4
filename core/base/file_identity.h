// Whose files a thread makes: for trees in which the daemon's own id 0 cannot own anything, as under an id-mapped
// mount.
#ifndef BERTH_CORE_BASE_FILE_IDENTITY_H_
#define BERTH_CORE_BASE_FILE_IDENTITY_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"

namespace berth {

// While it lives, what the calling thread makes belongs to these ids; its capabilities stay as they are (setfsuid(2),
// capabilities(7) SECBIT_NO_SETUID_FIXUP; all of them are a thread's own in Linux). Destroyed by the same thread.
class FileIdentity {
 public:
  static absl::StatusOr<std::unique_ptr<FileIdentity>> Assume(uint32_t uid, uint32_t gid);
  ~FileIdentity();
  FileIdentity(const FileIdentity&) = delete;
  FileIdentity& operator=(const FileIdentity&) = delete;

 private:
  explicit FileIdentity(int secure_bits) : secure_bits_(secure_bits) {}

  const int secure_bits_;  // as they were
};

}  // namespace berth

#endif  // BERTH_CORE_BASE_FILE_IDENTITY_H_
