// The node's images and their names, in memory: what Status and List answer from, and who has pinned what.
#ifndef BERTH_CORE_IMAGE_IMAGE_TABLE_H_
#define BERTH_CORE_IMAGE_IMAGE_TABLE_H_

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/image/image_record.h"
#include "proto/berth/state/v1/state.pb.h"

namespace berth {

// Not thread-safe; its owner locks.
class ImageTable {
 public:
  // `pinned`: normalised references that the kubelet is not to collect.
  explicit ImageTable(std::set<std::string> pinned) : pinned_(std::move(pinned)) {}

  // Adds or replaces by id. A row with `removed` is kept for its pins alone.
  void Put(const state::v1::Image& row);
  void Drop(const std::string& id);

  // The rows that change when image `id` takes these names: those that lose one, without `id` itself.
  std::vector<state::v1::Image> LosersOf(const std::string& id, const std::vector<std::string>& names) const;

  // Images::Status. Null for removed ones.
  ImagePtr Find(absl::string_view image) const;
  // By the full id, also a removed one.
  ImagePtr FindById(const std::string& id) const;
  std::optional<state::v1::Image> Row(const std::string& id) const;
  std::vector<ImagePtr> All() const;
  // Of all, also removed ones.
  std::vector<std::string> Ids() const;
  // Removed, and pinned by nobody.
  std::vector<std::string> Unowned() const;

  void Pin(absl::string_view owner, const std::string& id);
  // Answers the ids it has pinned.
  std::set<std::string> Unpin(absl::string_view owner);
  bool IsPinned(const std::string& id) const { return pins_.count(id) != 0; }

 private:
  struct Entry {
    state::v1::Image row;  // without configuration and manifest: the record has them
    ImagePtr record;
    state::v1::Image FullRow() const;
  };
  const Entry* FindEntry(absl::string_view image) const;

  const std::set<std::string> pinned_;
  std::map<std::string, Entry> images_;                  // by id
  std::map<std::string, std::string> names_;             // tags and digests to ids
  std::map<std::string, std::set<std::string>> owners_;  // to ids
  std::map<std::string, uint32_t> pins_;                 // ids to numbers of owners
};

}  // namespace berth

#endif  // BERTH_CORE_IMAGE_IMAGE_TABLE_H_
