// What plugins of the other kinds may answer, against the adapters: tables of C functions made here, no shared objects.
// plugins_test.cc has the snapshotter's.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "berth/abi/executor.h"
#include "berth/abi/network.h"
#include "berth/abi/registry.h"
#include "core/base/unique_fd.h"
#include "core/plugin/executor_adapter.h"
#include "core/plugin/network_adapter.h"
#include "core/plugin/registry_adapter.h"

namespace berth {
namespace {

using Code = absl::StatusCode;

berth_str Str(const char* s) { return {s, strlen(s)}; }

template <class... Ignored>
int32_t Nothing(Ignored...) {
  return BERTH_OK;
}
int32_t Create(const berth_host*, void** out, berth_error*) {
  static int self;
  *out = &self;
  return BERTH_OK;
}
void Destroy(void*) {}

std::unique_ptr<PluginHost> Host() {
  return std::make_unique<PluginHost>(HostServices(), "fake", ConfigValue::Table());
}
std::shared_ptr<std::mutex> Mutex() { return std::make_shared<std::mutex>(); }

// ---- image registry

std::function<void(const berth_content_sink*)> g_resolve;
std::function<int32_t(const berth_byte_sink*, berth_error*)> g_fetch;
std::function<void(const berth_str_sink*)> g_list;

std::unique_ptr<ImageRegistry> Registry() {
  static berth_registry table{};
  table.struct_size = sizeof(table);
  table.create = &Create;
  table.destroy = &Destroy;
  table.resolve = [](void*, const berth_call*, const berth_registry_request*, const berth_content_sink* out,
                     berth_error*) {
    g_resolve(out);
    return BERTH_OK;
  };
  table.fetch = [](void*, const berth_call*, const berth_registry_request*, const berth_fetch_range*,
                   const berth_byte_sink* out, berth_error* err) { return g_fetch(out, err); };
  table.list = [](void*, const berth_call*, const berth_str_sink* out, berth_error*) {
    g_list(out);
    return BERTH_OK;
  };
  return *AdaptImageRegistry(&table, Host(), Mutex());
}

berth_content_descriptor Descriptor() {
  return {sizeof(berth_content_descriptor), 0, Str("type"), Str("sha256:1"), 5, {nullptr, 0}};
}

TEST(RegistryAdapterTest, NonsensicalDescriptorsAreCaught) {
  const auto registry = Registry();
  const auto resolve = [&](const std::function<void(berth_content_descriptor&)>& change) {
    g_resolve = [&](const berth_content_sink* out) {
      berth_content_descriptor d = Descriptor();
      change(d);
      out->put(out->ctx, &d);
    };
    return registry->Resolve(Call(), RegistryRequest()).status().code();
  };
  EXPECT_EQ(resolve([](auto&) {}), Code::kOk);
  EXPECT_EQ(resolve([](auto& d) { d.struct_size = 4; }), Code::kInternal);
  EXPECT_EQ(resolve([](auto& d) { d.digest.size = 0; }), Code::kInternal);
  EXPECT_EQ(resolve([](auto& d) { d.digest = {nullptr, 7}; }), Code::kInternal);
  EXPECT_EQ(resolve([](auto& d) { d.media_type = {"x", UINT64_MAX}; }), Code::kInternal);
  EXPECT_EQ(resolve([](auto& d) { d.media_type = Str("\xff"); }), Code::kInternal);
  EXPECT_EQ(resolve([](auto& d) { d.data = Str("six..."); }), Code::kInternal) << "its size is 5";
  EXPECT_EQ(resolve([](auto& d) { d.data = Str("five."); }), Code::kOk);
  g_resolve = [](const berth_content_sink*) {};
  EXPECT_EQ(registry->Resolve(Call(), RegistryRequest()).status().code(), Code::kInternal);
  g_resolve = [](const berth_content_sink* out) { out->put(out->ctx, nullptr); };
  EXPECT_EQ(registry->Resolve(Call(), RegistryRequest()).status().code(), Code::kInternal);
}

TEST(RegistryAdapterTest, AFetchIsHeldToItsRange) {
  const auto registry = Registry();
  std::string got;
  const auto fetch = [&](uint64_t length, const std::function<int32_t(const berth_byte_sink*, berth_error*)>& f) {
    got.clear();
    g_fetch = f;
    return registry
        ->Fetch(Call(), RegistryRequest(), ContentDescriptor(), 0, length,
                [&](absl::string_view data) {
                  got.append(data.data(), data.size());
                  return got.size() > 100 ? absl::ResourceExhaustedError("full") : absl::OkStatus();
                })
        .code();
  };
  const auto write = [](const berth_byte_sink* out, const char* text, berth_error* err) {
    return out->write(out->ctx, text, strlen(text), err);
  };
  EXPECT_EQ(fetch(5, [&](auto* out, auto* err) { return write(out, "12345", err); }), Code::kOk);
  EXPECT_EQ(got, "12345");
  EXPECT_EQ(fetch(5, [&](auto* out, auto* err) { return write(out, "1234", err); }), Code::kDataLoss);
  EXPECT_EQ(fetch(5, [&](auto* out, auto* err) { return write(out, "123456", err); }), Code::kOutOfRange);
  EXPECT_EQ(fetch(UINT64_MAX, [&](auto* out, auto* err) { return write(out, "any", err); }), Code::kOk);
  EXPECT_EQ(fetch(5, [&](auto* out, auto* err) { return out->write(out->ctx, nullptr, 5, err); }), Code::kInternal);
  EXPECT_EQ(fetch(5, [&](auto* out, auto* err) { return out->write(out->ctx, "", UINT64_MAX, err); }),
            Code::kOutOfRange);
  // A refusal counts, even when the plugin goes on and answers OK.
  EXPECT_EQ(fetch(UINT64_MAX,
                  [&](auto* out, auto* err) {
                    int refused = 0;
                    for (int i = 0; i < 5; ++i) {
                      refused += write(out, std::string(60, 'x').c_str(), err) == BERTH_RESOURCE_EXHAUSTED ? 1 : 0;
                    }
                    EXPECT_EQ(refused, 4);
                    return BERTH_OK;
                  }),
            Code::kResourceExhausted);
  EXPECT_EQ(got.size(), 120u);
}

TEST(RegistryAdapterTest, ListsAreChecked) {
  const auto registry = Registry();
  int visits = 0;
  g_list = [](const berth_str_sink* out) {
    out->put(out->ctx, Str("good"));
    out->put(out->ctx, Str("\xc3("));
  };
  EXPECT_EQ(registry->List(Call(), [&](const std::string&) { ++visits; }).code(), Code::kInternal);
  EXPECT_EQ(visits, 0);
  EXPECT_EQ(registry->Ping(Call()).code(), Code::kUnimplemented);
}

// ---- network hook

std::function<void(const berth_network_result_sink*)> g_setup;
std::function<void(const berth_network_status_sink*)> g_status;
int g_teardowns = 0;

std::unique_ptr<NetworkHook> Network() {
  static berth_network table{};
  table.struct_size = sizeof(table);
  table.create = &Create;
  table.destroy = &Destroy;
  table.setup = [](void*, const berth_call*, const berth_pod_network*, const berth_network_result_sink* out,
                   berth_error*) {
    g_setup(out);
    return BERTH_OK;
  };
  table.teardown = [](void*, const berth_call*, const berth_pod_network*, berth_error*) {
    ++g_teardowns;
    return BERTH_OK;
  };
  table.status = [](void*, const berth_call*, const berth_network_status_sink* out, berth_error*) {
    g_status(out);
    return BERTH_OK;
  };
  return *AdaptNetworkHook(&table, Host(), Mutex());
}

TEST(NetworkAdapterTest, NonsensicalResultsAreCaughtAndUndone) {
  const auto hook = Network();
  const auto setup = [&](std::vector<berth_str> ips, const std::function<void(berth_network_result&)>& change) {
    g_setup = [&](const berth_network_result_sink* out) {
      berth_network_result r{sizeof(r), 0, ips.data(), ips.size(), Str("state")};
      change(r);
      out->put(out->ctx, &r);
    };
    g_teardowns = 0;
    return hook->Setup(Call(), PodNetwork()).status().code();
  };
  EXPECT_EQ(setup({Str("10.0.0.1"), Str("fd00::1")}, [](auto&) {}), Code::kOk);
  EXPECT_EQ(g_teardowns, 0);
  EXPECT_EQ(setup({}, [](auto&) {}), Code::kOk);
  for (const char* ip : {"", "10.0.0.1/24", "10.0.0", "x", "::g", "10.0.0.1; reboot"}) {
    EXPECT_EQ(setup({Str(ip)}, [](auto&) {}), Code::kInternal) << ip;
    EXPECT_EQ(g_teardowns, 1) << "setup believed that it succeeded";
  }
  EXPECT_EQ(setup({}, [](auto& r) { r.struct_size = 8; }), Code::kInternal);
  EXPECT_EQ(setup({}, [](auto& r) { r.ip_count = 10; }), Code::kInternal);
  EXPECT_EQ(setup({}, [](auto& r) { r.ip_count = UINT64_MAX; }), Code::kInternal);
  EXPECT_EQ(setup({}, [](auto& r) { r.state = {"x", (1 << 20) + 1}; }), Code::kInternal);
  EXPECT_EQ(setup({}, [](auto& r) { r.state = {nullptr, 1}; }), Code::kInternal);
  g_setup = [](const berth_network_result_sink*) {};
  EXPECT_EQ(hook->Setup(Call(), PodNetwork()).status().code(), Code::kInternal);
}

TEST(NetworkAdapterTest, StateIsBytes) {
  const auto hook = Network();
  g_setup = [](const berth_network_result_sink* out) {
    const berth_network_result r{sizeof(r), 0, nullptr, 0, {"\0\xff", 2}};
    out->put(out->ctx, &r);
  };
  EXPECT_EQ(hook->Setup(Call(), PodNetwork())->state, std::string("\0\xff", 2));
}

TEST(NetworkAdapterTest, StatusIsChecked) {
  const auto hook = Network();
  g_status = [](const berth_network_status_sink* out) {
    const berth_network_status s{sizeof(s), 7, Str("Reason"), Str("text")};
    out->put(out->ctx, &s);
  };
  const auto status = hook->Status(Call());
  ASSERT_TRUE(status.ok());
  EXPECT_TRUE(status->ready);
  EXPECT_EQ(status->reason + status->message, "Reasontext");
  g_status = [](const berth_network_status_sink* out) {
    const berth_network_status s{sizeof(s), 0, Str("\xff"), Str("")};
    out->put(out->ctx, &s);
  };
  EXPECT_EQ(hook->Status(Call()).status().code(), Code::kInternal);
  EXPECT_EQ(hook->Check(Call(), PodNetwork()).code(), Code::kUnimplemented);
  EXPECT_TRUE(hook->Gc(Call(), {"a"}).ok());
}

// ---- OCI executor

int64_t g_pid = 0;
int32_t g_code = BERTH_OK;
berth_exit_watch g_watch{};
berth_container_state g_state{};
int32_t g_stream = -1;
int g_deletes = 0;

std::unique_ptr<OciExecutor> Executor() {
  static berth_executor table{};
  table.struct_size = sizeof(table);
  table.create = &Create;
  table.destroy = &Destroy;
  table.create_container = [](void*, const berth_call*, const berth_container_request*, const berth_exit_watch* watch,
                              int64_t* pid, berth_error*) {
    g_watch = watch == nullptr ? berth_exit_watch{} : *watch;
    *pid = g_pid;
    return g_code;
  };
  table.start_container = &Nothing;
  table.kill = &Nothing;
  table.delete_container = [](void*, const berth_call*, const berth_container_request*, berth_error*) {
    ++g_deletes;
    return BERTH_OK;
  };
  table.exec = &Nothing;
  table.state = [](void*, const berth_call*, const berth_container_request*, berth_container_state* out, berth_error*) {
    out->state = g_state.state;
    out->pid = g_state.pid;
    return BERTH_OK;
  };
  table.port_forward = [](void*, const berth_call*, berth_str, uint16_t, int32_t* fd, berth_error*) {
    *fd = g_stream;
    return BERTH_OK;
  };
  return *AdaptOciExecutor(&table, Host(), Mutex());
}

void Exit(const berth_exit_watch& watch, int wait_status) {
  const berth_container_exit exit{sizeof(exit), wait_status, 5};
  watch.on_exit(watch.ctx, &exit);
}

TEST(ExecutorAdapterTest, AnExitIsReportedOnceWheneverItComes) {
  auto executor = Executor();
  g_code = BERTH_OK;
  g_pid = 42;
  int exits = 0, last = 0;
  const auto count = [&](const ContainerExit& exit) {
    ++exits;
    last = exit.wait_status;
  };
  ASSERT_EQ(*executor->Create(Call(), ContainerRequest(), count), 42);
  const berth_exit_watch first = g_watch;
  const berth_container_exit broken{4, 0, 0};
  first.on_exit(first.ctx, &broken);
  first.on_exit(first.ctx, nullptr);
  EXPECT_EQ(exits, 0);
  Exit(first, 9);
  Exit(first, 10);
  EXPECT_EQ(exits, 1);
  EXPECT_EQ(last, 9);
  ASSERT_TRUE(executor->Create(Call(), ContainerRequest(), count).ok());
  executor.reset();
  Exit(g_watch, 11);
  EXPECT_EQ(exits, 2) << "also after the plugin's instance is gone";
  berth_exit_watch forged = g_watch;
  forged.ctx = reinterpret_cast<void*>(uintptr_t{0xdeadbeef});
  Exit(forged, 12);
  EXPECT_EQ(exits, 2);
}

TEST(ExecutorAdapterTest, NobodyIsToldOfWhatFailed) {
  const auto executor = Executor();
  int exits = 0;
  g_code = BERTH_UNAVAILABLE;
  EXPECT_EQ(executor->Create(Call(), ContainerRequest(), [&](const ContainerExit&) { ++exits; }).status().code(),
            Code::kUnavailable);
  Exit(g_watch, 1);
  EXPECT_EQ(exits, 0);
  g_code = BERTH_OK;
  g_pid = 1;
  EXPECT_TRUE(executor->Create(Call(), ContainerRequest(), {}).ok());
  EXPECT_EQ(g_watch.on_exit, nullptr) << "nobody waits";
}

TEST(ExecutorAdapterTest, NonsenseIsCaught) {
  const auto executor = Executor();
  g_code = BERTH_OK;
  for (const int64_t pid : {int64_t{0}, int64_t{-1}, int64_t{1} << 40}) {
    g_pid = pid;
    g_deletes = 0;
    EXPECT_EQ(executor->Create(Call(), ContainerRequest(), {}).status().code(), Code::kInternal) << pid;
    EXPECT_EQ(g_deletes, 1) << "create believed that it succeeded";
  }
  g_state = {sizeof(g_state), BERTH_EXECUTOR_RUNNING, 7};
  ASSERT_TRUE(executor->State(Call(), ContainerRequest()).ok());
  EXPECT_EQ(executor->State(Call(), ContainerRequest())->pid, 7);
  g_state.state = 9;
  EXPECT_EQ(executor->State(Call(), ContainerRequest()).status().code(), Code::kInternal);
  g_state = {sizeof(g_state), BERTH_EXECUTOR_RUNNING, -7};
  EXPECT_EQ(executor->State(Call(), ContainerRequest()).status().code(), Code::kInternal);
  EXPECT_EQ(executor->capabilities(), 0u);
  EXPECT_EQ(executor->Features(Call()).status().code(), Code::kUnimplemented);
  EXPECT_EQ(executor->Stats(Call(), ContainerRequest()).status().code(), Code::kUnimplemented);
}

TEST(ExecutorAdapterTest, AForwardedPortIsASocket) {
  const auto executor = Executor();
  for (const int fd : {-1, 0, 2, 9999}) {
    g_stream = fd;
    EXPECT_EQ(executor->PortForward(Call(), "p", 80).status().code(), Code::kInternal) << fd;
  }
  g_stream = open("/dev/null", O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(executor->PortForward(Call(), "p", 80).status().code(), Code::kInternal);
  EXPECT_EQ(fcntl(g_stream, F_GETFD), -1) << "it was closed";
  int pair[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  const UniqueFd other(pair[1]);
  g_stream = pair[0];
  const auto stream = executor->PortForward(Call(), "p", 80);
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_EQ(stream->get(), pair[0]);
  EXPECT_EQ(fcntl(pair[0], F_GETFD), FD_CLOEXEC);
}

}  // namespace
}  // namespace berth
