// A process's environment while it is put together: one value for each name, in the order the names first came.
#ifndef BERTH_CORE_OCI_ENVIRONMENT_H_
#define BERTH_CORE_OCI_ENVIRONMENT_H_

#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace berth::oci {

class Environment {
 public:
  // `entry` is KEY=VALUE and takes the place of an earlier value of KEY. What has no = or no name is left out.
  void Set(std::string entry) {
    const size_t equals = entry.find('=');
    if (equals == std::string::npos || equals == 0) return;
    const auto [at, fresh] = index_.emplace(entry.substr(0, equals), entries_.size());
    if (fresh) {
      entries_.push_back(std::move(entry));
    } else {
      entries_[at->second] = std::move(entry);
    }
  }
  bool Has(const std::string& name) const { return index_.count(name) > 0; }
  const std::vector<std::string>& entries() const { return entries_; }

 private:
  std::vector<std::string> entries_;
  std::unordered_map<std::string, size_t> index_;
};

}  // namespace berth::oci

#endif  // BERTH_CORE_OCI_ENVIRONMENT_H_
