// What the daemon does for a plugin: configuration, log, events, metrics, commands.
#ifndef BERTH_SDK_HOST_H_
#define BERTH_SDK_HOST_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/abi/base.h"
#include "berth/sdk/call.h"
#include "berth/sdk/config.h"
#include "berth/sdk/internal.h"
#include "berth/sdk/status.h"

namespace berth::sdk {

// Ends the constructor of a plugin with an error: what the start of the plugin fails with.
[[noreturn]] inline void FailStart(Status status) { throw internal::StatusException(std::move(status)); }

enum class Severity : int32_t {
  kDebug = BERTH_LOG_DEBUG,
  kInfo = BERTH_LOG_INFO,
  kWarn = BERTH_LOG_WARN,
  kError = BERTH_LOG_ERROR,
};

// Runs in a process group of its own, killed whole at the call's deadline or cancellation.
struct Command {
  std::vector<std::string> argv;                // argv[0] is an absolute path; PATH is not searched
  std::vector<std::string> env;                 // the whole environment, KEY=VALUE
  std::string input;                            // for standard input, then end of file
  std::string directory;                        // working directory; "": /
  int netns_fd = -1;                            // network namespace to run in, borrowed; -1: the daemon's
  std::vector<std::string> cgroup_directories;  // absolute; joined before the program starts
  uint64_t output_limit = 0;                    // bytes kept of each of stdout and stderr; 0: 1 MiB, at most 16 MiB
};

struct CommandResult {
  int wait_status = 0;  // waitpid(2)
  std::string out, err;
  bool truncated = false;  // output_limit was reached
};

// A command in the pod's supervisor, which outlives the daemon and keeps what it starts.
struct SupervisedCommand {
  enum class Purpose : int32_t {
    kPlain = BERTH_SUPERVISED_PLAIN,    // wait for it, capture its output
    kCreate = BERTH_SUPERVISED_CREATE,  // in the mounts prepared for the container, with the container's streams
    kExec = BERTH_SUPERVISED_EXEC,      // with the streams prepared for the exec
  };
  Purpose purpose = Purpose::kPlain;
  std::string pod_id, container_id, exec_id;
  std::vector<std::string> argv, env;
  std::string pid_file;  // kCreate, kExec: read once the command has ended
};

struct SupervisedResult {
  int wait_status = 0;
  pid_t pid = 0;         // from pid_file; 0: none was written
  std::string out, err;  // tails of at most 16 KiB
};

using Label = std::pair<std::string, std::string>;

struct Event {
  uint32_t topic = 0;  // BERTH_TOPIC_*
  int32_t type = 0;    // BERTH_EVENT_*
  uint64_t sequence = 0;
  int64_t at_unix_ns = 0;
  uint64_t lost_before = 0;  // events this subscriber was too slow for
  std::string id, payload;   // berth/abi/base.h says what they are for each topic
};

// Unsubscribes when destroyed, which waits for a handler that runs: never destroy it in its own handler.
class Subscription {
 public:
  Subscription() = default;
  Subscription(Subscription&& other) noexcept = default;
  Subscription& operator=(Subscription&& other) noexcept {
    Cancel();
    host_ = other.host_;
    id_ = other.id_;
    handler_ = std::move(other.handler_);
    return *this;
  }
  ~Subscription() { Cancel(); }

  void Cancel() {
    if (handler_ != nullptr) host_->unsubscribe(host_->ctx, id_);
    handler_.reset();
  }

 private:
  friend class Host;
  const berth_host* host_ = nullptr;
  uint64_t id_ = 0;
  std::unique_ptr<std::function<void(const Event&)>> handler_;
};

// Cheap to copy. Valid as long as the plugin's instance. Thread-safe.
class Host {
 public:
  explicit Host(const berth_host* raw) : raw_(raw) {}

  std::string instance() const { return internal::String(raw_->instance); }  // its name in the configuration
  std::string root() const { return internal::String(raw_->root); }          // what survives a reboot
  std::string state() const { return internal::String(raw_->state); }        // what does not

  Config config() const { return Config(raw_, raw_->config(raw_->ctx), instance()); }

  void Log(Severity severity, std::string_view message) const {
    raw_->log(raw_->ctx, static_cast<int32_t>(severity), internal::Str(message));
  }
  void LogDebug(std::string_view message) const { Log(Severity::kDebug, message); }
  void LogInfo(std::string_view message) const { Log(Severity::kInfo, message); }
  void LogWarn(std::string_view message) const { Log(Severity::kWarn, message); }
  void LogError(std::string_view message) const { Log(Severity::kError, message); }

  // An event of topic PLUGIN; `name` [a-z0-9._-]{1,128}, `json` at most 64 KiB.
  void Publish(std::string_view name, std::string_view json) const {
    raw_->publish(raw_->ctx, internal::Str(name), internal::Str(json));
  }
  // `handler` is called by a thread of the host's, one event at a time, from now on. It must not throw.
  Result<Subscription> Subscribe(uint32_t topics, std::function<void(const Event&)> handler) const {
    Subscription out;
    auto owned = std::make_unique<std::function<void(const Event&)>>(std::move(handler));
    const berth_event_handler raw{sizeof(raw), topics, owned.get(), &Host::OnEvent};
    berth_error err = internal::NewError();
    const int32_t code = raw_->subscribe(raw_->ctx, &raw, &out.id_, &err);
    if (code != BERTH_OK) return internal::ToStatus(code, err);
    out.host_ = raw_;
    out.handler_ = std::move(owned);
    return out;
  }

  // Prometheus: berth_plugin_NAME. `name` and label keys are [a-z][a-z0-9_]*.
  void CounterAdd(std::string_view name, double by = 1, const std::vector<Label>& labels = {}) const {
    const auto raw = Labels(labels);
    raw_->counter_add(raw_->ctx, internal::Str(name), raw.data(), raw.size(), by);
  }
  void GaugeSet(std::string_view name, double value, const std::vector<Label>& labels = {}) const {
    const auto raw = Labels(labels);
    raw_->gauge_set(raw_->ctx, internal::Str(name), raw.data(), raw.size(), value);
  }

  // OK for a command that ran, however it ended. kNotFound: there is no such program.
  Result<CommandResult> Spawn(const Call& call, const Command& command) const {
    const auto argv = internal::Strs(command.argv), env = internal::Strs(command.env);
    const auto cgroups = internal::Strs(command.cgroup_directories);
    berth_command raw{};
    raw.struct_size = sizeof(raw);
    raw.netns_fd = command.netns_fd;
    raw.argv = argv.data();
    raw.argv_count = argv.size();
    raw.env = env.data();
    raw.env_count = env.size();
    raw.input = internal::Str(command.input);
    raw.directory = internal::Str(command.directory);
    raw.cgroup_directories = cgroups.data();
    raw.cgroup_directory_count = cgroups.size();
    raw.output_limit = command.output_limit;
    Collected<CommandResult> out;
    const berth_command_sink sink{
        sizeof(sink), 0, &out, [](void* ctx, const berth_command_result* r) noexcept {
          auto* into = static_cast<Collected<CommandResult>*>(ctx);
          into->Put([&] {
            return CommandResult{r->wait_status, internal::String(r->out), internal::String(r->err), r->truncated != 0};
          });
        }};
    const berth_call raw_call = internal::RawCall(call);
    berth_error err = internal::NewError();
    return out.Take(raw_->spawn(raw_->ctx, &raw_call, &raw, &sink, &err), err);
  }

  // The same in the supervisor of command.pod_id.
  Result<SupervisedResult> RunSupervised(const Call& call, const SupervisedCommand& command) const {
    const auto argv = internal::Strs(command.argv), env = internal::Strs(command.env);
    berth_supervised_command raw{};
    raw.struct_size = sizeof(raw);
    raw.purpose = static_cast<int32_t>(command.purpose);
    raw.pod_id = internal::Str(command.pod_id);
    raw.container_id = internal::Str(command.container_id);
    raw.exec_id = internal::Str(command.exec_id);
    raw.argv = argv.data();
    raw.argv_count = argv.size();
    raw.env = env.data();
    raw.env_count = env.size();
    raw.pid_file = internal::Str(command.pid_file);
    Collected<SupervisedResult> out;
    const berth_supervised_sink sink{sizeof(sink), 0, &out, [](void* ctx, const berth_supervised_result* r) noexcept {
                                       auto* into = static_cast<Collected<SupervisedResult>*>(ctx);
                                       into->Put([&] {
                                         return SupervisedResult{r->wait_status, static_cast<pid_t>(r->pid),
                                                                 internal::String(r->out), internal::String(r->err)};
                                       });
                                     }};
    const berth_call raw_call = internal::RawCall(call);
    berth_error err = internal::NewError();
    return out.Take(raw_->supervise(raw_->ctx, &raw_call, &raw, &sink, &err), err);
  }

 private:
  // A result on its way out of a sink, through which no exception may pass.
  template <class T>
  struct Collected {
    template <class F>
    void Put(F&& make) noexcept {
      try {
        value = make();
      } catch (...) {
        out_of_memory = true;
      }
    }
    Result<T> Take(int32_t code, const berth_error& err) {
      if (code != BERTH_OK) return internal::ToStatus(code, err);
      if (out_of_memory) return ResourceExhausted("copy the result of a command: out of memory");
      return std::move(value);
    }
    T value;
    bool out_of_memory = false;
  };

  static void OnEvent(void* ctx, const berth_event* e) noexcept {
    try {
      (*static_cast<std::function<void(const Event&)>*>(ctx))(Event{e->topic, e->type, e->sequence, e->at_unix_ns,
                                                                    e->lost_before, internal::String(e->id),
                                                                    internal::String(e->payload)});
    } catch (...) {  // there is nobody to tell; the next event comes as if nothing had happened
    }
  }

  static std::vector<berth_pair> Labels(const std::vector<Label>& labels) {
    std::vector<berth_pair> out;
    out.reserve(labels.size());
    for (const auto& [key, value] : labels) out.push_back({internal::Str(key), internal::Str(value)});
    return out;
  }

  const berth_host* raw_;
};

}  // namespace berth::sdk

#endif  // BERTH_SDK_HOST_H_
