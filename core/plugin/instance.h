// What the adapters share: one instance of a plugin, its table of C functions, and calls into it.
#ifndef BERTH_CORE_PLUGIN_INSTANCE_H_
#define BERTH_CORE_PLUGIN_INSTANCE_H_

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/plugin/abi_reader.h"
#include "core/plugin/call.h"
#include "core/plugin/host.h"

namespace berth {

// A Call as the ABI has it; borrows from it.
inline berth_call AbiCall(const Call& call) {
  return {sizeof(berth_call), call.cancel_fd, call.deadline_ns, AbiStr(call.trace_id)};
}

// Calls `f`, a C function that fills a berth_error, and reads its answer. An exception that a plugin lets out cannot be
// caught here: it has an unwinder of its own, which does not know our frames. The SDK stops them.
template <class F>
absl::Status CallPlugin(absl::string_view who, F&& f) {
  berth_error err;
  err.struct_size = sizeof(err);
  err.code = err.sys_errno = 0;
  err.size = 0;
  const int32_t code = f(&err);
  return FromAbiError(who, code, err);
}

// What a sink puts aside while the plugin is on the stack: the first fault of its reader, and whether it was called.
struct Delivery {
  AbiReader reader;
  int times = 0;

  // Runs `read` for one call of the sink; nothing is thrown through the plugin.
  template <class F>
  void Take(F&& read) noexcept {
    try {
      ++times;
      read();
    } catch (...) {
      reader.Fail("the result", "does not fit into memory");
    }
  }

  // OK when `status` is and exactly one sound result came.
  absl::Status Check(absl::string_view who, const absl::Status& status) const {
    if (!status.ok()) return status;
    if (times != 1) {
      return absl::InternalError(absl::StrCat(who, ": the plugin answered OK with ", times, " results instead of one"));
    }
    return CheckEach(who, status);
  }
  absl::Status CheckEach(absl::string_view who, const absl::Status& status) const {
    if (!status.ok() || reader.ok()) return status;
    return absl::InternalError(absl::StrCat(who, ": the plugin answered nonsense: ", reader.fault()));
  }
};

struct PluginFunction {
  const char* name;
  bool present;
};

template <class Table>
class PluginInstance {
 public:
  // Checks the table and makes the plugin's object. `starting` is held around create and destroy: what the ABI calls
  // the thread that starts and stops plugins.
  // `required`: the functions without which the kind cannot work.
  static absl::StatusOr<std::unique_ptr<PluginInstance>> Create(const void* table, std::unique_ptr<PluginHost> host,
                                                                std::shared_ptr<std::mutex> starting,
                                                                std::vector<PluginFunction> (*required)(const Table&)) {
    std::unique_ptr<PluginInstance> out(new PluginInstance(std::move(host), std::move(starting)));
    uint32_t size;
    memcpy(&size, table, sizeof(size));
    if (size < sizeof(size) || size > kMaxTable) {
      return absl::FailedPreconditionError(
          absl::StrCat(out->who(), ": the plugin's table has a struct_size of ", size));
    }
    memcpy(&out->table_, table, std::min<size_t>(size, sizeof(Table)));
    RETURN_IF_ERROR(out->Require({"create", out->table_.create != nullptr}));
    RETURN_IF_ERROR(out->Require({"destroy", out->table_.destroy != nullptr}));
    for (const PluginFunction& f : required(out->table_)) RETURN_IF_ERROR(out->Require(f));
    const std::lock_guard lock(*out->starting_);
    void* self = nullptr;
    RETURN_IF_ERROR(
        CallPlugin(out->who(), [&](berth_error* err) { return out->table_.create(out->host_->raw(), &self, err); }));
    if (self == nullptr) {
      return absl::InternalError(absl::StrCat(out->who(), ": the plugin answered OK without an instance"));
    }
    out->self_ = self;
    return out;
  }

  ~PluginInstance() {
    if (self_ == nullptr) return;
    const std::lock_guard lock(*starting_);
    table_.destroy(self_);
  }
  PluginInstance(const PluginInstance&) = delete;
  PluginInstance& operator=(const PluginInstance&) = delete;

  const Table& table() const { return table_; }
  void* self() const { return self_; }
  const std::string& who() const { return host_->instance(); }

  // table().*function(self(), arguments..., err), or kUnimplemented when the plugin has no such function.
  template <class Pointer, class... Arguments>
  absl::Status Invoke(const char* name, Pointer function, Arguments&&... arguments) const {
    if (function == nullptr) return absl::UnimplementedError(absl::StrCat(who(), ": the plugin has no ", name));
    return CallPlugin(who(), [&](berth_error* err) { return function(self_, arguments..., err); });
  }

 private:
  static constexpr uint32_t kMaxTable = 4096;

  PluginInstance(std::unique_ptr<PluginHost> host, std::shared_ptr<std::mutex> starting)
      : host_(std::move(host)), starting_(std::move(starting)) {}

  absl::Status Require(const PluginFunction& f) const {
    if (f.present) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat(who(), ": the plugin lacks the function ", f.name));
  }

  const std::unique_ptr<PluginHost> host_;
  const std::shared_ptr<std::mutex> starting_;
  Table table_{};
  void* self_ = nullptr;
};

}  // namespace berth

#endif  // BERTH_CORE_PLUGIN_INSTANCE_H_
