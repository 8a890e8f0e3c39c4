// Image references as people write them, in their one full form: `busybox` is docker.io/library/busybox:latest.
// Grammar: the distribution project's reference grammar (distribution-spec "Pulling manifests").
#ifndef BERTH_CORE_IMAGE_REFERENCE_H_
#define BERTH_CORE_IMAGE_REFERENCE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace berth {

struct ImageReference {
  std::string host;    // "docker.io", "localhost:5000", "[::1]:5000"
  std::string path;    // "library/busybox"
  std::string tag;     // "" only when there is a digest
  std::string digest;  // "sha256:..."; "" when the reference has none

  // host/path
  std::string Repository() const;
  // host/path:tag; "" without a tag.
  std::string Tagged() const;
  // host/path@digest; "" without a digest.
  std::string Digested() const;
  // What is pulled and what a registry plugin gets: host/path@digest if there is one (a tag beside it is dropped, since
  // the digest decides), host/path:tag otherwise.
  std::string Normalised() const;
};

// kInvalidArgument says which part is wrong. A reference with neither tag nor digest gets the tag "latest".
absl::StatusOr<ImageReference> ParseImageReference(absl::string_view text);

}  // namespace berth

#endif  // BERTH_CORE_IMAGE_REFERENCE_H_
