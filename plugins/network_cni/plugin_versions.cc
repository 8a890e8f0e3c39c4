#include "plugins/network_cni/plugin_versions.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "plugins/network_cni/version.h"

namespace berth::network_cni {
namespace {

using json::Value;
using sdk::Call;
using sdk::Code;
using sdk::Result;
using sdk::Status;

constexpr int64_t kPatience = 5'000'000'000;
constexpr size_t kMaxAnswers = 256;  // of programs; types come from configuration files

std::string Joined(const std::set<std::string>& words) {
  std::string out;
  for (const std::string& word : words) {
    if (out.size() > 200) return out + " ...";
    out += (out.empty() ? "" : " ") + word;
  }
  return out;
}

}  // namespace

Result<PluginVersions::Spoken> PluginVersions::Ask(const Call& call, const std::string& type,
                                                   const std::string& network) {
  BERTH_ASSIGN_OR_RETURN(const std::string path, runner_->Find(type));
  struct stat st {};
  if (stat(path.c_str(), &st) != 0) return sdk::ErrnoStatus("stat " + path);
  const Identity identity{st.st_dev, st.st_ino, static_cast<uint64_t>(st.st_size),
                          st.st_ctim.tv_sec * int64_t{1'000'000'000} + st.st_ctim.tv_nsec};
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto known = answers_.find(path);
    if (known != answers_.end() && known->second.identity == identity) return known->second.spoken;
  }
  Call bounded = call;
  bounded.deadline_ns = std::min(call.deadline_ns, MonotonicNow() + kPatience);
  const Value config{{"cniVersion", kNewestVersionText}, {"type", type}};
  const Result<Value> said = runner_->Run(bounded, Invocation{"VERSION", network, config, "", "", "", ""});
  BERTH_RETURN_IF_ERROR(call.Check());  // then it is not the plugin's fault that there is no answer
  std::set<std::string> versions;
  if (said.ok()) {
    for (const Value& version : json::ArrayMember(*said, "supportedVersions")) {
      if (version.is_string()) versions.insert(version.get<std::string>().substr(0, 32));
    }
  }
  const Spoken spoken = versions.empty() ? Spoken() : Spoken(std::move(versions));
  const std::lock_guard<std::mutex> lock(mutex_);
  if (answers_.size() >= kMaxAnswers) answers_.clear();
  answers_[path] = {identity, spoken};
  return spoken;
}

Status PluginVersions::Choose(const Call& call, ConfigList* list) {
  std::vector<std::string> left = list->versions;
  for (const Value& plugin : list->plugins) {
    const std::string type = json::StringMember(plugin, "type");
    BERTH_ASSIGN_OR_RETURN(const Spoken spoken, Ask(call, type, list->name));
    if (!spoken) continue;
    std::erase_if(left, [&](const std::string& version) { return !spoken->contains(version); });
    if (!left.empty()) continue;
    return sdk::FailedPrecondition("CNI plugin " + type + " speaks none of the versions that network " + list->name +
                                   " may use (" + Joined({list->versions.begin(), list->versions.end()}) + "), only " +
                                   Joined(*spoken));
  }
  list->version = left[0];
  return {};
}

}  // namespace berth::network_cni
