#include "core/image/image_table.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "core/image/reference.h"
#include "core/oci/image_spec.h"

namespace berth {
namespace {

constexpr absl::string_view kSha256 = "sha256:";
constexpr size_t kMinPrefix = 4;

bool IsHex(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f'); });
}

std::vector<std::string> Sorted(const google::protobuf::RepeatedPtrField<std::string>& names) {
  std::vector<std::string> sorted(names.begin(), names.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

void RemoveName(google::protobuf::RepeatedPtrField<std::string>* names, const std::string& name) {
  names->erase(std::remove(names->begin(), names->end(), name), names->end());
}

}  // namespace

void ImageTable::Put(const state::v1::Image& row) {
  Drop(row.id());
  auto record = std::make_shared<ImageRecord>();
  record->id = row.id();
  record->repo_tags = Sorted(row.tags());
  record->repo_digests = Sorted(row.digests());
  record->chain_ids.assign(row.chain_ids().begin(), row.chain_ids().end());
  record->snapshotters.assign(row.snapshotters().begin(), row.snapshotters().end());
  if (record->snapshotters.empty()) record->snapshotters.push_back(row.snapshotter());
  record->config = row.config();
  record->manifest = row.manifest();
  record->manifest_digest = row.manifest_digest();
  record->manifest_media_type = row.manifest_media_type();
  if (auto config = oci::ParseImageConfig(row.config()); config.ok()) record->user = config->config.user;
  record->size = row.size();
  record->pinned = row.pinned();
  record->created_at = row.created_at();
  for (const auto* names : {&record->repo_tags, &record->repo_digests}) {
    for (const std::string& name : *names) {
      names_[name] = row.id();
      record->pinned |= pinned_.count(name) != 0;
    }
  }
  Entry& entry = images_[row.id()];
  entry.row = row;
  entry.row.clear_config();
  entry.row.clear_manifest();
  entry.record = std::move(record);
}

state::v1::Image ImageTable::Entry::FullRow() const {
  state::v1::Image full = row;
  full.set_config(record->config);
  full.set_manifest(record->manifest);
  return full;
}

void ImageTable::Drop(const std::string& id) {
  const auto it = images_.find(id);
  if (it == images_.end()) return;
  for (const auto* names : {&it->second.record->repo_tags, &it->second.record->repo_digests}) {
    for (const std::string& name : *names) {
      // Another image may have taken the name in the meantime.
      if (const auto named = names_.find(name); named != names_.end() && named->second == id) names_.erase(named);
    }
  }
  images_.erase(it);
}

std::vector<state::v1::Image> ImageTable::LosersOf(const std::string& id, const std::vector<std::string>& names) const {
  std::map<std::string, state::v1::Image> losers;
  for (const std::string& name : names) {
    const auto named = names_.find(name);
    if (named == names_.end() || named->second == id) continue;
    const auto it = losers.try_emplace(named->second, images_.at(named->second).FullRow()).first;
    RemoveName(it->second.mutable_tags(), name);
    RemoveName(it->second.mutable_digests(), name);
  }
  std::vector<state::v1::Image> rows;
  rows.reserve(losers.size());
  for (auto& [unused, row] : losers) rows.push_back(std::move(row));
  return rows;
}

const ImageTable::Entry* ImageTable::FindEntry(absl::string_view image) const {
  const auto by_id = [this](absl::string_view id) -> const Entry* {
    const auto it = images_.find(std::string(id));
    return it == images_.end() || it->second.row.removed() ? nullptr : &it->second;
  };
  if (const Entry* entry = by_id(image); entry != nullptr) return entry;
  if (auto reference = ParseImageReference(image); reference.ok()) {
    const auto named = names_.find(reference->Normalised());
    if (named != names_.end()) return by_id(named->second);
  }
  absl::string_view hex = image;
  absl::ConsumePrefix(&hex, kSha256);
  if (hex.size() < kMinPrefix || hex.size() > 64 || !IsHex(hex)) return nullptr;
  const std::string prefix = absl::StrCat(kSha256, hex);
  const Entry* found = nullptr;
  for (auto it = images_.lower_bound(prefix); it != images_.end() && absl::StartsWith(it->first, prefix); ++it) {
    if (it->second.row.removed()) continue;
    if (found != nullptr) return nullptr;  // ambiguous
    found = &it->second;
  }
  return found;
}

ImagePtr ImageTable::Find(absl::string_view image) const {
  const Entry* entry = FindEntry(image);
  return entry == nullptr ? nullptr : entry->record;
}

ImagePtr ImageTable::FindById(const std::string& id) const {
  const auto it = images_.find(id);
  return it == images_.end() ? nullptr : it->second.record;
}

std::optional<state::v1::Image> ImageTable::Row(const std::string& id) const {
  const auto it = images_.find(id);
  if (it == images_.end()) return std::nullopt;
  return it->second.FullRow();
}

std::vector<ImagePtr> ImageTable::All() const {
  std::vector<ImagePtr> all;
  for (const auto& [id, entry] : images_) {
    if (!entry.row.removed()) all.push_back(entry.record);
  }
  return all;
}

std::vector<std::string> ImageTable::Ids() const {
  std::vector<std::string> ids;
  for (const auto& [id, entry] : images_) ids.push_back(id);
  return ids;
}

std::vector<std::string> ImageTable::Unowned() const {
  std::vector<std::string> ids;
  for (const auto& [id, entry] : images_) {
    if (entry.row.removed() && !IsPinned(id)) ids.push_back(id);
  }
  return ids;
}

void ImageTable::Pin(absl::string_view owner, const std::string& id) {
  if (owners_[std::string(owner)].insert(id).second) ++pins_[id];
}

std::set<std::string> ImageTable::Unpin(absl::string_view owner) {
  const auto it = owners_.find(std::string(owner));
  if (it == owners_.end()) return {};
  std::set<std::string> ids = std::move(it->second);
  owners_.erase(it);
  for (const std::string& id : ids) {
    if (--pins_[id] == 0) pins_.erase(id);
  }
  return ids;
}

}  // namespace berth
