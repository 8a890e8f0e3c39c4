// A table of long-lived entries by id: found by the full id or by any unique prefix of it, and by their name.
#ifndef BERTH_CORE_POD_ID_TABLE_H_
#define BERTH_CORE_POD_ID_TABLE_H_

#include <map>
#include <memory>
#include <shared_mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "core/base/id.h"

namespace berth {

// Thread-safe. `what` names the kind of entry in errors: "pod sandbox", "container".
template <typename Entry>
class IdTable {
 public:
  explicit IdTable(const char* what) : what_(what) {}

  // Puts `entry` in unless the name is taken; then answers the one that has it, and false.
  std::pair<std::shared_ptr<Entry>, bool> Insert(const std::string& id, const std::string& name,
                                                 std::shared_ptr<Entry> entry) {
    std::lock_guard lock(mutex_);
    const auto [it, fresh] = by_name_.emplace(name, entry);
    if (!fresh) return {it->second, false};
    by_id_.emplace(id, entry);
    return {std::move(entry), true};
  }

  // Puts in an entry that has no name, or may not keep it.
  void InsertUnnamed(const std::string& id, std::shared_ptr<Entry> entry) {
    std::lock_guard lock(mutex_);
    by_id_.emplace(id, std::move(entry));
  }

  void Erase(const std::string& id, const std::string& name) {
    ReleaseName(id, name);
    std::lock_guard lock(mutex_);
    by_id_.erase(id);
  }

  // Another entry may have the name from now on; this one stays, found by its id.
  void ReleaseName(const std::string& id, const std::string& name) {
    std::lock_guard lock(mutex_);
    const auto owner = by_name_.find(name);
    const auto entry = by_id_.find(id);
    if (owner != by_name_.end() && entry != by_id_.end() && owner->second == entry->second) by_name_.erase(owner);
  }

  // kInvalidArgument for an empty or malformed id, kNotFound for an unknown one or an ambiguous prefix.
  absl::StatusOr<std::shared_ptr<Entry>> Find(absl::string_view id) const {
    if (id.empty()) return absl::InvalidArgumentError(absl::StrCat(what_, " id is empty"));
    if (id.size() > kIdLength) {
      return absl::InvalidArgumentError(absl::StrCat(what_, " id has ", id.size(), " bytes, more than ", kIdLength));
    }
    std::shared_lock lock(mutex_);
    const auto first = by_id_.lower_bound(std::string(id));
    if (first == by_id_.end() || !absl::StartsWith(first->first, id)) return NotFound(id);
    const auto second = std::next(first);
    if (first->first != id && second != by_id_.end() && absl::StartsWith(second->first, id)) {
      return absl::NotFoundError(absl::StrCat(what_, " id ", id, " is the beginning of several ids"));
    }
    return first->second;
  }

  std::vector<std::shared_ptr<Entry>> All() const {
    std::shared_lock lock(mutex_);
    std::vector<std::shared_ptr<Entry>> all;
    all.reserve(by_id_.size());
    for (const auto& [id, entry] : by_id_) all.push_back(entry);
    return all;
  }

 private:
  absl::Status NotFound(absl::string_view id) const {
    const bool printable = id.find_first_not_of("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.") ==
                           absl::string_view::npos;
    return absl::NotFoundError(absl::StrCat(what_, " ", printable ? id : "with that id", " does not exist"));
  }

  const char* const what_;
  mutable std::shared_mutex mutex_;
  std::map<std::string, std::shared_ptr<Entry>> by_id_;
  std::map<std::string, std::shared_ptr<Entry>> by_name_;
};

}  // namespace berth

#endif  // BERTH_CORE_POD_ID_TABLE_H_
