// Ids of pods and containers: 64 lowercase hex digits (cAdvisor looks for exactly that in cgroup names). The last 8 are
// a checksum keyed with a secret of this node's store, so that Berth tells its own ids from another runtime's.
#ifndef BERTH_CORE_BASE_ID_H_
#define BERTH_CORE_BASE_ID_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace berth {

inline constexpr size_t kIdLength = 64;

// Immutable after construction; any thread.
class IdSource {
 public:
  explicit IdSource(std::string key) : key_(std::move(key)) {}

  // The source whose key is in `path`; made there, durably, when missing.
  static absl::StatusOr<IdSource> FromKeyFile(const std::string& path);

  // A new id from the kernel's random source.
  std::string New() const;

  // True for an id that this key made.
  bool Owns(absl::string_view id) const;

 private:
  std::string Checksum(absl::string_view random_part) const;

  std::string key_;
};

// 64 lowercase hex digits, of whatever origin.
bool IsId(absl::string_view text);

}  // namespace berth

#endif  // BERTH_CORE_BASE_ID_H_
