// Content digests (image-spec descriptor.md "Digests"): sha256 and sha512.
#ifndef BERTH_CORE_OCI_DIGEST_H_
#define BERTH_CORE_OCI_DIGEST_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace berth {

// A valid digest, or empty. A value type.
class Digest {
 public:
  enum class Algorithm : uint8_t { kSha256, kSha512 };

  Digest() = default;

  // "sha256:<64 lowercase hex digits>" or "sha512:<128>"; anything else is kInvalidArgument.
  static absl::StatusOr<Digest> Parse(absl::string_view text);
  // The sha256 of `data`.
  static Digest Of(absl::string_view data);

  bool empty() const { return text_.empty(); }
  const std::string& ToString() const { return text_; }
  Algorithm algorithm() const { return text_.size() > 80 ? Algorithm::kSha512 : Algorithm::kSha256; }
  // The part after the colon.
  absl::string_view hex() const;

  bool operator==(const Digest& other) const { return text_ == other.text_; }
  bool operator!=(const Digest& other) const { return text_ != other.text_; }
  bool operator<(const Digest& other) const { return text_ < other.text_; }

 private:
  friend class DigestHasher;
  std::string text_;
};

std::ostream& operator<<(std::ostream& out, const Digest& digest);

// Hashes a stream piece by piece. Move-only; one thread at a time.
class DigestHasher {
 public:
  explicit DigestHasher(Digest::Algorithm algorithm = Digest::Algorithm::kSha256);

  void Update(const void* data, size_t size);
  void Update(absl::string_view data) { Update(data.data(), data.size()); }
  // The digest of all that was added; afterwards the hasher starts anew.
  Digest Finish();

 private:
  struct State;
  struct Free {
    void operator()(State* state) const;
  };
  std::unique_ptr<State, Free> state_;
};

// image-spec config.md "Layer ChainID": of the layers diff_ids[0..i], for each i.
std::vector<Digest> ChainIds(const std::vector<Digest>& diff_ids);
// The chain id of one more layer over `parent`, which is empty for a base layer.
Digest ChainId(const Digest& parent, const Digest& diff_id);

}  // namespace berth

template <>
struct std::hash<berth::Digest> {
  size_t operator()(const berth::Digest& digest) const { return std::hash<std::string>()(digest.ToString()); }
};

#endif  // BERTH_CORE_OCI_DIGEST_H_
