#include "core/plugin/plugins.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <map>
#include <mutex>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "berth/abi/executor.h"
#include "berth/abi/network.h"
#include "berth/abi/registry.h"
#include "berth/abi/snapshotter.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/path.h"
#include "core/base/status.h"
#include "core/plugin/executor_adapter.h"
#include "core/plugin/instance.h"
#include "core/plugin/loader.h"
#include "core/plugin/network_adapter.h"
#include "core/plugin/registry_adapter.h"
#include "core/plugin/snapshotter_adapter.h"

namespace berth {
namespace {

constexpr char kSuffix[] = ".so";

struct Kind {
  const char* interface_id;
  const char* name;
};
constexpr Kind kSnapshotterKind{BERTH_SNAPSHOTTER, "snapshotter"};
constexpr Kind kRegistryKind{BERTH_REGISTRY, "image registry"};
constexpr Kind kNetworkKind{BERTH_NETWORK, "network hook"};
constexpr Kind kExecutorKind{BERTH_EXECUTOR, "OCI executor"};

const void* Query(const Module& module, const Kind& kind) { return module.table.query(kind.interface_id); }

struct Entry {
  Module module;
  std::unique_ptr<PluginHost> host;  // the module's own, without configuration
};

}  // namespace

class Plugins::Impl {
 public:
  Impl(std::vector<std::string> directories, HostServices services)
      : directories_(std::move(directories)), services_(std::move(services)) {}

  ~Impl() {
    const std::lock_guard lock(*starting_);
    for (auto& [name, entry] : modules_) {
      if (entry.module.table.shutdown != nullptr) entry.module.table.shutdown();
    }
  }

  template <class Interface>
  absl::StatusOr<std::unique_ptr<Interface>> Make(
      const Kind& kind, const std::string& name, const ConfigValue::Table& config, const std::string& instance,
      absl::StatusOr<std::unique_ptr<Interface>> (*adapt)(const void*, std::unique_ptr<PluginHost>,
                                                          std::shared_ptr<std::mutex>)) {
    ASSIGN_OR_RETURN(const Module module, Find(name));
    const void* const table = Query(module, kind);
    if (table == nullptr) {
      return absl::NotFoundError(absl::StrCat("plugin ", name, " (", module.path, ") is no ", kind.name));
    }
    auto host = std::make_unique<PluginHost>(services_, instance.empty() ? name : instance, config);
    const PluginHost* const seen = host.get();  // owned by what adapt makes
    auto made = adapt(table, std::move(host), starting_);
    if (made.ok()) Report(*seen);
    return made;
  }

  void LoadAll() {
    for (const std::string& directory : directories_) {
      const auto names = ListDir(directory);
      if (!names.ok()) {
        AddFailure(directory, names.status());
        continue;
      }
      for (const std::string& file : *names) {
        if (absl::EndsWith(file, kSuffix)) {
          Find(file.substr(0, file.size() - sizeof(kSuffix) + 1)).status().IgnoreError();  // kept in failures_
        }
      }
    }
  }

  std::vector<ModuleInfo> Loaded() const {
    std::vector<ModuleInfo> out;
    const std::lock_guard lock(mutex_);
    for (const auto& [name, entry] : modules_) {
      ModuleInfo info{entry.module.path, entry.module.name, entry.module.version, {}};
      for (const Kind& kind : {kSnapshotterKind, kRegistryKind, kNetworkKind, kExecutorKind}) {
        if (Query(entry.module, kind) != nullptr) info.kinds.push_back(kind.name);
      }
      out.push_back(std::move(info));
    }
    return out;
  }

  std::vector<ModuleFailure> Failures() const {
    const std::lock_guard lock(mutex_);
    std::vector<ModuleFailure> out;
    for (const auto& [path, status] : failures_) out.push_back({path, status});
    return out;
  }

  std::vector<std::string> UnknownKeys() const {
    const std::lock_guard lock(mutex_);
    return unknown_keys_;
  }

  void Drain() {
    const std::lock_guard lock(*starting_);
    const std::lock_guard modules_lock(mutex_);
    for (auto& [name, entry] : modules_) {
      if (entry.module.table.drain != nullptr) entry.module.table.drain();
    }
  }

 private:
  void AddFailure(const std::string& path, const absl::Status& status) {
    LogError("plugin not loaded", {{"path", path}, {"error", status.message()}});
    const std::lock_guard lock(mutex_);
    failures_[path] = status;
  }

  void Report(const PluginHost& host) {
    for (const std::string& key : host.UnreadKeys()) {
      LogWarn("unknown key in a plugin's configuration", {{"plugin", host.instance()}, {"key", key}});
      const std::lock_guard lock(mutex_);
      unknown_keys_.push_back(absl::StrCat(host.instance(), ": unknown key ", key));
    }
  }

  // The module, loaded and initialised now if it was not before.
  absl::StatusOr<Module> Find(const std::string& name) {
    const std::lock_guard starting(*starting_);
    {
      const std::lock_guard lock(mutex_);
      const auto it = modules_.find(name);
      if (it != modules_.end()) return it->second.module;
    }
    ASSIGN_OR_RETURN(const std::string path, PathOf(name));
    absl::StatusOr<Entry> entry = Load(name, path);
    if (!entry.ok()) {
      AddFailure(path, entry.status());
      return entry.status();
    }
    LogInfo("plugin loaded", {{"plugin", name}, {"version", entry->module.version}, {"path", path}});
    const std::lock_guard lock(mutex_);
    failures_.erase(path);
    return modules_.emplace(name, *std::move(entry)).first->second.module;
  }

  absl::StatusOr<std::string> PathOf(const std::string& name) const {
    if (!CheckRelativePath(name, "plugin").ok() || name.find('/') != std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat("\"", name, "\" is not the name of a plugin"));
    }
    std::string looked;
    for (const std::string& directory : directories_) {
      const std::string path = absl::StrCat(directory, "/", name, kSuffix);
      struct stat st = {};
      if (lstat(path.c_str(), &st) == 0) return path;
      if (errno != ENOENT && errno != ENOTDIR) return ErrnoStatus(absl::StrCat("look for plugin ", path));
      absl::StrAppend(&looked, looked.empty() ? "" : ", ", path);
    }
    return absl::NotFoundError(absl::StrCat("there is no plugin ", name, "; looked for ", looked));
  }

  absl::StatusOr<Entry> Load(const std::string& name, const std::string& path) const {
    ASSIGN_OR_RETURN(Module module, LoadModule(path));
    if (module.name != name) {
      return absl::FailedPreconditionError(
          absl::StrCat("load plugin ", path, ": it calls itself ", module.name, "; name the file so"));
    }
    auto host = std::make_unique<PluginHost>(services_, name, ConfigValue::Table{});
    if (module.table.init != nullptr) {
      const absl::Status status =
          CallPlugin(name, [&](berth_error* err) { return module.table.init(host->raw(), err); });
      if (!status.ok()) return Annotate(status, absl::StrCat("initialise plugin ", path));
    }
    return Entry{std::move(module), std::move(host)};
  }

  const std::vector<std::string> directories_;
  const HostServices services_;
  const std::shared_ptr<std::mutex> starting_ = std::make_shared<std::mutex>();  // the ABI's [main]

  mutable std::mutex mutex_;  // taken after starting_
  std::map<std::string, Entry> modules_;
  std::map<std::string, absl::Status> failures_;
  std::vector<std::string> unknown_keys_;
};

Plugins::Plugins(std::vector<std::string> directories, HostServices services)
    : impl_(std::make_unique<Impl>(std::move(directories), std::move(services))) {}
Plugins::~Plugins() = default;

absl::StatusOr<std::unique_ptr<Snapshotter>> Plugins::MakeSnapshotter(const std::string& name,
                                                                      const ConfigValue::Table& config,
                                                                      const std::string& instance) {
  return impl_->Make<Snapshotter>(kSnapshotterKind, name, config, instance, &AdaptSnapshotter);
}

absl::StatusOr<std::unique_ptr<ImageRegistry>> Plugins::MakeImageRegistry(const std::string& name,
                                                                          const ConfigValue::Table& config,
                                                                          const std::string& instance) {
  return impl_->Make<ImageRegistry>(kRegistryKind, name, config, instance, &AdaptImageRegistry);
}

absl::StatusOr<std::unique_ptr<NetworkHook>> Plugins::MakeNetworkHook(const std::string& name,
                                                                      const ConfigValue::Table& config,
                                                                      const std::string& instance) {
  return impl_->Make<NetworkHook>(kNetworkKind, name, config, instance, &AdaptNetworkHook);
}

absl::StatusOr<std::unique_ptr<OciExecutor>> Plugins::MakeOciExecutor(const std::string& name,
                                                                      const ConfigValue::Table& config,
                                                                      const std::string& instance) {
  return impl_->Make<OciExecutor>(kExecutorKind, name, config, instance, &AdaptOciExecutor);
}

void Plugins::LoadAll() { impl_->LoadAll(); }
std::vector<ModuleInfo> Plugins::Loaded() const { return impl_->Loaded(); }
std::vector<ModuleFailure> Plugins::Failures() const { return impl_->Failures(); }
std::vector<std::string> Plugins::UnknownKeys() const { return impl_->UnknownKeys(); }
void Plugins::Drain() { impl_->Drain(); }

}  // namespace berth
