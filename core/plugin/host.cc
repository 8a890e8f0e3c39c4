#include "core/plugin/host.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <thread>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/base/subprocess.h"
#include "core/plugin/abi_reader.h"
#include "core/plugin/config_tree.h"

namespace berth {
namespace {

constexpr size_t kMaxLogLine = 8 << 10;
constexpr size_t kMaxEvent = 64 << 10;
constexpr size_t kMaxArgument = 128 << 10;  // Linux takes no longer one (MAX_ARG_STRLEN)
constexpr size_t kMaxInput = 16 << 20;
constexpr uint64_t kDefaultOutput = 1 << 20;
constexpr uint64_t kMaxOutput = 16 << 20;
constexpr size_t kEventBacklog = 1024;

bool IsEventName(absl::string_view name) {
  return !name.empty() && name.size() <= 128 && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '.' || c == '_' || c == '-';
  });
}

// Runs `body` for a plugin: neither it nor the sink that it calls may throw through the C frames above.
template <class F>
int32_t Answer(berth_error* err, F&& body) {
  try {
    return FillAbiError(body(), err);
  } catch (...) {
    return FillAbiError(absl::ResourceExhaustedError("the host could not answer: out of memory"), err);
  }
}

}  // namespace

// One subscription: a thread that hands events to the plugin's handler.
class PluginHost::Feed {
 public:
  Feed(EventBus* bus, const berth_event_handler& handler)
      : handler_(handler),
        subscription_(bus->Subscribe(handler.topics & kAllTopics, kEventBacklog, [this] { Wake(); })),
        thread_([this] { Run(); }) {}
  ~Feed() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_one();
    thread_.join();
    subscription_.reset();
  }

  bool IsThisThread() const { return thread_.get_id() == std::this_thread::get_id(); }

 private:
  void Wake() {
    {
      const std::lock_guard lock(mutex_);
      pending_ = true;
    }
    wake_.notify_one();
  }

  void Run() {
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return stop_ || pending_; });
        if (stop_) return;
        pending_ = false;
      }
      while (!Stopping()) {
        const auto item = subscription_->Poll();
        if (!item) break;
        Deliver(*item->event, item->lost_before);
      }
    }
  }

  bool Stopping() {
    const std::lock_guard lock(mutex_);
    return stop_;
  }

  void Deliver(const Event& event, uint64_t lost_before) {
    const berth_event raw{sizeof(raw),
                          static_cast<uint32_t>(event.topic),
                          static_cast<int32_t>(event.type),
                          0,
                          event.sequence,
                          event.at_unix_ns,
                          lost_before,
                          AbiStr(event.id),
                          AbiStr(event.payload)};
    handler_.on_event(handler_.ctx, &raw);
  }

  const berth_event_handler handler_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false, pending_ = false;
  std::unique_ptr<Subscription> subscription_;
  std::thread thread_;
};

struct PluginHost::Functions {
  static PluginHost& Self(void* ctx) { return *static_cast<PluginHost*>(ctx); }

  static void Log(void* ctx, int32_t severity, berth_str message) noexcept {
    if (message.data == nullptr) return;
    const auto level = static_cast<LogLevel>(std::clamp<int32_t>(severity, BERTH_LOG_DEBUG, BERTH_LOG_ERROR));
    berth::Log(level, absl::string_view(message.data, std::min<size_t>(message.size, kMaxLogLine)),
               {{"plugin", Self(ctx).instance_}});
  }

  static const berth_value* Config(void* ctx) noexcept { return Self(ctx).config_.get(); }
  static void Read(void*, const berth_value* value, berth_value_data* out) noexcept {
    if (out == nullptr || out->struct_size > 4096) return;
    if (value == nullptr) {
      memset(reinterpret_cast<char*>(out) + sizeof(out->struct_size), 0,
             out->struct_size - std::min<size_t>(out->struct_size, sizeof(out->struct_size)));
      return;
    }
    value->Read(out);
  }
  static const berth_value* Member(void*, const berth_value* table, berth_str key) noexcept {
    if (table == nullptr || key.data == nullptr || key.size > AbiReader::kMaxText) return nullptr;
    return table->Member(std::string(key.data, key.size));
  }
  static const berth_value* Item(void*, const berth_value* array, uint64_t index) noexcept {
    return array == nullptr ? nullptr : array->Item(index);
  }
  static const berth_value* Entry(void*, const berth_value* table, uint64_t index, berth_str* key) noexcept {
    return table == nullptr || key == nullptr ? nullptr : table->Entry(index, key);
  }

  static void Publish(void* ctx, berth_str name, berth_str json) noexcept {
    PluginHost& self = Self(ctx);
    try {
      AbiReader reader;
      Event event;
      event.topic = Topic::kPlugin;
      event.type = EventType::kCustom;
      event.id = reader.Text(name, "the name", 128);
      event.payload = reader.Text(json, "the payload", kMaxEvent);
      if (reader.ok() && !IsEventName(event.id)) reader.Fail("the name", "is not [a-z0-9._-]{1,128}");
      if (!reader.ok()) {
        LogWarn("plugin's event dropped", {{"plugin", self.instance_}, {"error", reader.fault()}});
      } else if (self.services_.bus != nullptr) {
        self.services_.bus->Publish(std::move(event));
      }
    } catch (...) {
      LogError("plugin's event dropped: out of memory", {{"plugin", self.instance_}});
    }
  }

  static int32_t Subscribe(void* ctx, const berth_event_handler* handler, uint64_t* id, berth_error* err) noexcept {
    return Answer(err, [&]() -> absl::Status {
      PluginHost& self = Self(ctx);
      if (self.services_.bus == nullptr) return absl::UnimplementedError("subscribe: there are no events here");
      AbiReader reader;
      if (!reader.Struct(handler, "the handler") || id == nullptr || handler->on_event == nullptr) {
        return absl::InvalidArgumentError("subscribe: no handler given");
      }
      auto feed = std::make_unique<Feed>(self.services_.bus, *handler);
      const std::lock_guard lock(self.mutex_);
      *id = ++self.last_feed_;
      self.feeds_[*id] = std::move(feed);
      return absl::OkStatus();
    });
  }

  static void Unsubscribe(void* ctx, uint64_t id) noexcept {
    PluginHost& self = Self(ctx);
    std::unique_ptr<Feed> feed;  // ended without the lock: its handler may be waiting for us
    {
      const std::lock_guard lock(self.mutex_);
      const auto it = self.feeds_.find(id);
      if (it == self.feeds_.end()) return;
      if (it->second->IsThisThread()) {
        LogError("plugin unsubscribes in its own event handler: ignored", {{"plugin", self.instance_}});
        return;
      }
      feed = std::move(it->second);
      self.feeds_.erase(it);
    }
  }

  static void CounterAdd(void* ctx, berth_str name, const berth_pair* labels, uint64_t count, double by) noexcept {
    Count(ctx, name, labels, count, [&](PluginMetrics& m, const std::string& n, PluginMetrics::Labels l) {
      return m.CounterAdd(Self(ctx).instance_, n, std::move(l), by);
    });
  }
  static void GaugeSet(void* ctx, berth_str name, const berth_pair* labels, uint64_t count, double value) noexcept {
    Count(ctx, name, labels, count, [&](PluginMetrics& m, const std::string& n, PluginMetrics::Labels l) {
      return m.GaugeSet(Self(ctx).instance_, n, std::move(l), value);
    });
  }
  template <class F>
  static void Count(void* ctx, berth_str name, const berth_pair* labels, uint64_t count, F&& update) noexcept {
    PluginHost& self = Self(ctx);
    try {
      if (self.services_.metrics == nullptr) return;
      AbiReader reader;
      const std::string text = reader.Text(name, "the name", 64);
      auto pairs = reader.Pairs(labels, std::min<uint64_t>(count, 17), "labels");
      if (count > 16) reader.Fail("labels", "are too many");
      const absl::Status status = reader.ok() ? update(*self.services_.metrics, text, std::move(pairs))
                                              : absl::InvalidArgumentError(reader.fault());
      if (!status.ok()) LogWarn("plugin's metric dropped", {{"plugin", self.instance_}, {"error", status.message()}});
    } catch (...) {
      LogError("plugin's metric dropped: out of memory", {{"plugin", self.instance_}});
    }
  }

  static int32_t Spawn(void*, const berth_call* call, const berth_command* command, const berth_command_sink* out,
                       berth_error* err) noexcept {
    return Answer(err, [&]() -> absl::Status {
      AbiReader reader;
      if (reader.Struct(call, "the call") && reader.Struct(command, "the command")) reader.Struct(out, "the sink");
      if (!reader.ok()) return absl::InvalidArgumentError(absl::StrCat("spawn: ", reader.fault()));
      Command c;
      c.argv = reader.Texts(command->argv, command->argv_count, "arguments", kMaxArgument);
      c.env = reader.Texts(command->env, command->env_count, "environment variables", kMaxArgument);
      c.input = reader.Bytes(command->input, "the input", kMaxInput);
      c.directory = command->directory.size == 0 ? "/" : reader.Path(command->directory, "the directory");
      c.netns_fd = command->netns_fd;
      if (reader.List(command->cgroup_directories, command->cgroup_directory_count, "cgroup directories", 32)) {
        for (uint64_t i = 0; i < command->cgroup_directory_count; ++i) {
          c.cgroup_directories.push_back(reader.Path(command->cgroup_directories[i], "a cgroup directory"));
        }
      }
      if (reader.ok() && (c.argv.empty() || c.argv[0].empty() || c.argv[0][0] != '/')) {
        reader.Fail("the program", "is not an absolute path");
      }
      if (!reader.ok()) return absl::InvalidArgumentError(absl::StrCat("spawn: ", reader.fault()));
      c.deadline_ns = call->deadline_ns;
      c.cancel_fd = call->cancel_fd;
      c.output_limit = command->output_limit == 0 ? kDefaultOutput : std::min(command->output_limit, kMaxOutput);
      ASSIGN_OR_RETURN(const CommandResult result, RunCommand(c));
      const berth_command_result raw{sizeof(raw),        result.wait_status,         AbiStr(result.out),
                                     AbiStr(result.err), result.truncated ? 1u : 0u, 0};
      out->put(out->ctx, &raw);
      return absl::OkStatus();
    });
  }

  static int32_t Supervise(void* ctx, const berth_call* call, const berth_supervised_command* command,
                           const berth_supervised_sink* out, berth_error* err) noexcept {
    return Answer(err, [&]() -> absl::Status {
      SupervisorService* const supervisor = Self(ctx).services_.supervisor;
      if (supervisor == nullptr) return absl::UnimplementedError("run a command in a pod: there are no pods here");
      AbiReader reader;
      if (reader.Struct(call, "the call") && reader.Struct(command, "the command")) reader.Struct(out, "the sink");
      if (!reader.ok()) return absl::InvalidArgumentError(absl::StrCat("supervise: ", reader.fault()));
      SupervisedCommand c;
      c.purpose = static_cast<SupervisedCommand::Purpose>(command->purpose);
      c.pod_id = reader.Text(command->pod_id, "the pod's id");
      c.container_id = reader.Text(command->container_id, "the container's id");
      c.exec_id = reader.Text(command->exec_id, "the exec's id");
      c.argv = reader.Texts(command->argv, command->argv_count, "arguments", kMaxArgument);
      c.env = reader.Texts(command->env, command->env_count, "environment variables", kMaxArgument);
      if (command->pid_file.size > 0) c.pid_file = reader.Path(command->pid_file, "the pid file");
      if (command->purpose < BERTH_SUPERVISED_PLAIN || command->purpose > BERTH_SUPERVISED_EXEC) {
        reader.Fail("the purpose", "is unknown");
      }
      if (reader.ok() && (c.argv.empty() || c.argv[0].empty() || c.argv[0][0] != '/')) {
        reader.Fail("the program", "is not an absolute path");
      }
      if (!reader.ok()) return absl::InvalidArgumentError(absl::StrCat("supervise: ", reader.fault()));
      const std::string trace = reader.Text(call->trace_id, "the trace id");
      ASSIGN_OR_RETURN(const SupervisedResult result,
                       supervisor->Run(Call{call->cancel_fd, call->deadline_ns, trace}, c));
      const berth_supervised_result raw{sizeof(raw), result.wait_status, result.pid, AbiStr(result.out),
                                        AbiStr(result.err)};
      out->put(out->ctx, &raw);
      return absl::OkStatus();
    });
  }

  static const void* Query(void*, const char*) noexcept { return nullptr; }
};

PluginHost::PluginHost(const HostServices& services, std::string instance, const ConfigValue::Table& config)
    : services_(services),
      instance_(std::move(instance)),
      config_(std::make_unique<berth_value>(config)),
      raw_{sizeof(berth_host),     BERTH_ABI_MAJOR,        BERTH_ABI_MINOR,         this,
           AbiStr(instance_),      AbiStr(services_.root), AbiStr(services_.state), &Functions::Log,
           &Functions::Config,     &Functions::Read,       &Functions::Member,      &Functions::Item,
           &Functions::Entry,      &Functions::Publish,    &Functions::Subscribe,   &Functions::Unsubscribe,
           &Functions::CounterAdd, &Functions::GaugeSet,   &Functions::Spawn,       &Functions::Supervise,
           &Functions::Query} {}

PluginHost::~PluginHost() = default;

std::vector<std::string> PluginHost::UnreadKeys() const {
  std::vector<std::string> out;
  config_->AppendUnread("", out);
  return out;
}

}  // namespace berth
