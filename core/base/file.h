// Whole-file reads and durable writes. Every read has a bound: what is read may come from outside.
#ifndef BERTH_CORE_BASE_FILE_H_
#define BERTH_CORE_BASE_FILE_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/base/unique_fd.h"

namespace berth {

inline constexpr uint64_t kDefaultReadLimit = 4 << 20;

enum class Durability : bool { kVolatile, kDurable };

// open(2) with O_CLOEXEC. The error names the path.
absl::StatusOr<UniqueFd> OpenFile(const std::string& path, int flags, mode_t mode = 0);
// openat(2) with O_CLOEXEC.
absl::StatusOr<UniqueFd> OpenFileAt(int dir_fd, const std::string& path, int flags, mode_t mode = 0);

// Reads from the descriptor's position to its end; kOutOfRange when there is more than `limit` bytes.
absl::StatusOr<std::string> ReadAll(int fd, uint64_t limit = kDefaultReadLimit);
absl::StatusOr<std::string> ReadFile(const std::string& path, uint64_t limit = kDefaultReadLimit);

// Writes every byte, whatever write(2) takes at a time.
absl::Status WriteAll(int fd, absl::string_view data);

// Replaces `path` by `data`: temporary file in the same directory, rename. With kDurable the file is fsynced before the
// rename and the directory after it, so that after a power cut the path holds the old or the new contents, nothing
// else.
absl::Status WriteFileAtomic(const std::string& path, absl::string_view data, mode_t mode, Durability durability);

// Removes what WriteFileAtomic calls of processes that have died since left in `directory`.
void RemoveAbandonedTemporaries(const std::string& directory);

// mkdir -p. Existing directories are left as they are. With kDurable those that it makes survive a power cut.
absl::Status MakeDirs(const std::string& path, mode_t mode = 0755, Durability durability = Durability::kVolatile);

// Removes the tree at `path` without following links or leaving its file system, deepest first. OK if there is none.
absl::Status RemoveTree(const std::string& path);

// The names in a directory but . and .., sorted. kNotFound if there is no such directory.
absl::StatusOr<std::vector<std::string>> ListDir(const std::string& path);

absl::Status SyncDir(const std::string& path);

}  // namespace berth

#endif  // BERTH_CORE_BASE_FILE_H_
