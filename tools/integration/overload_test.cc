// More than the daemon can do at once: it refuses what is too much, does the rest, and is as before when it is over.
#include <grpcpp/grpcpp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/base/unique_fd.h"
#include "proto/cri/v1/api.grpc.pb.h"
#include "tools/integration/daemon_test.h"
#include "tools/integration/isolation.h"

namespace berth {
namespace {

using Counts = std::map<grpc::StatusCode, int>;

// Sends calls without waiting for their answers, from several connections, and counts how they were answered.
class Flood {
 public:
  explicit Flood(const std::string& socket, int connections = 4) {
    for (int i = 0; i < connections; ++i) {
      grpc::ChannelArguments arguments;
      arguments.SetInt("connection", i);  // channels of equal arguments share one
      arguments.SetMaxReceiveMessageSize(-1);
      stubs_.push_back(cri::RuntimeService::NewStub(
          grpc::CreateCustomChannel("unix:" + socket, grpc::InsecureChannelCredentials(), arguments)));
    }
  }
  ~Flood() { Wait(); }

  // `rpc`: the stub's method with a callback, e.g. &Async::ExecSync.
  using Async = cri::RuntimeService::StubInterface::async_interface;
  template <typename Request, typename Response>
  void Send(void (Async::*rpc)(grpc::ClientContext*, const Request*, Response*, std::function<void(grpc::Status)>),
            const Request& request, std::function<void(const Response&)> on_answer = nullptr) {
    struct Open {
      grpc::ClientContext context;
      Request request;
      Response response;
    };
    auto open = std::make_shared<Open>();
    open->request = request;
    open->context.set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(10));
    std::unique_lock lock(mutex_);
    ++open_;
    Async* async = stubs_[next_++ % stubs_.size()]->async();
    lock.unlock();
    (async->*rpc)(&open->context, &open->request, &open->response, [this, open, on_answer](grpc::Status status) {
      std::lock_guard guard(mutex_);
      if (status.ok() && on_answer) on_answer(open->response);
      if (!status.ok()) last_error_ = status.error_message();
      ++counts_[status.error_code()];
      --open_;
      changed_.notify_all();
    });
  }
  Counts Wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return open_ == 0; });
    return counts_;
  }
  const std::string& last_error() const { return last_error_; }

 private:
  std::vector<std::unique_ptr<cri::RuntimeService::Stub>> stubs_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t next_ = 0;
  int open_ = 0;
  Counts counts_;
  std::string last_error_;
};

class OverloadTest : public DaemonTest {
 protected:
  // In KiB, of a line of the daemon's /proc/PID/status.
  int64_t DaemonMemory(const std::string& field) const {
    std::ifstream status(absl::StrCat("/proc/", daemon_.pid(), "/status"));
    for (std::string line; std::getline(status, line);) {
      if (!absl::StartsWith(line, field + ":")) continue;
      int64_t kib = 0;
      EXPECT_TRUE(absl::SimpleAtoi(line.substr(field.size() + 1, line.size() - field.size() - 4), &kib)) << line;
      return kib;
    }
    ADD_FAILURE() << "no " << field;
    return 0;
  }
};

TEST_F(OverloadTest, ManyPodsAtOnceAllRun) {
  const int pods = OnTheLabsMachine() ? 40 : 500;
  std::vector<std::string> ids;
  {
    Flood flood(place_->socket());
    for (int i = 0; i < pods; ++i) {
      cri::RunPodSandboxRequest request;
      *request.mutable_config() = PodConfig(absl::StrCat("many-", i));
      flood.Send(&Flood::Async::RunPodSandbox, request,
                 std::function<void(const cri::RunPodSandboxResponse&)>(
                     [&ids](const auto& response) { ids.push_back(response.pod_sandbox_id()); }));
    }
    EXPECT_EQ(flood.Wait(), (Counts{{grpc::StatusCode::OK, pods}})) << flood.last_error();
  }
  EXPECT_EQ(client().ListPodSandbox({})->items_size(), pods);
  Flood flood(place_->socket());
  for (const std::string& id : ids) {
    cri::RemovePodSandboxRequest request;
    request.set_pod_sandbox_id(id);
    flood.Send(&Flood::Async::RemovePodSandbox, request);
  }
  EXPECT_EQ(flood.Wait(), (Counts{{grpc::StatusCode::OK, pods}})) << flood.last_error();
}

class ExecOverloadTest : public OverloadTest {
 protected:
  ExecOverloadTest() { options_.more_config = "[daemon]\nexec_threads = 8\nexec_waiting = 100\n"; }
};

TEST_F(ExecOverloadTest, ProbesBeyondTheQueueAreRefused) {
  RunOne("sleep 1000");
  Flood flood(place_->socket());
  constexpr int kProbes = 10'000;
  for (int i = 0; i < kProbes; ++i) {
    cri::ExecSyncRequest request;
    request.set_container_id(container_);
    request.add_cmd("/bin/true");
    request.set_timeout(300);
    flood.Send(&Flood::Async::ExecSync, request);
  }
  // Meanwhile the rest of the daemon answers.
  EXPECT_OK(client().ListContainers({}));
  EXPECT_OK(Status(container_));
  Counts counts = flood.Wait();
  EXPECT_GE(counts[grpc::StatusCode::OK], 100) << "what was queued was done";
  EXPECT_EQ(counts[grpc::StatusCode::OK] + counts[grpc::StatusCode::RESOURCE_EXHAUSTED], kProbes) << flood.last_error();
  EXPECT_GT(counts[grpc::StatusCode::RESOURCE_EXHAUSTED], 0);
  EXPECT_OK(Exec(container_, {"/bin/true"}));
  EXPECT_OK(RemovePod(pod_));
}

TEST_F(OverloadTest, AFloodOfLargeRequestsCostsLittleMemory) {
  const int64_t before = DaemonMemory("VmRSS");
  Flood flood(place_->socket(), 16);
  constexpr int kCalls = 200;
  cri::CreateContainerRequest request;
  request.set_pod_sandbox_id(std::string(64, '0'));
  *request.mutable_config() = ContainerConfig("large", {"/bin/true"});
  (*request.mutable_config()->mutable_annotations())["large"] = std::string(15 << 20, 'x');
  for (int i = 0; i < kCalls; ++i) flood.Send(&Flood::Async::CreateContainer, request);
  Counts counts = flood.Wait();
  EXPECT_EQ(counts[grpc::StatusCode::INVALID_ARGUMENT] + counts[grpc::StatusCode::RESOURCE_EXHAUSTED] +
                counts[grpc::StatusCode::UNAVAILABLE],
            kCalls)
      << testing::PrintToString(counts) << flood.last_error();
  EXPECT_GT(counts[grpc::StatusCode::INVALID_ARGUMENT], 0)
      << "some were looked at, and are larger than a container's configuration may be";
  const int64_t grown = (DaemonMemory("VmHWM") - before) / 1024;
  EXPECT_LT(grown, 600) << "MiB, for " << kCalls << " requests of 15";
  RecordProperty("grown_mib", std::to_string(grown));
  RunOne("true");
  EXPECT_OK(RemovePod(pod_));
}

TEST_F(OverloadTest, WithoutDescriptorsItRefusesAndRecovers) {
  RunOne("sleep 1000");
  rlimit old = {};
  ASSERT_EQ(prlimit(daemon_.pid(), RLIMIT_NOFILE, nullptr, &old), 0);
  const rlimit few = {400, old.rlim_max};
  ASSERT_EQ(prlimit(daemon_.pid(), RLIMIT_NOFILE, &few, nullptr), 0);
  std::vector<UniqueFd> connections;
  sockaddr_un address = {AF_UNIX, {}};
  place_->socket().copy(address.sun_path, sizeof(address.sun_path) - 1);
  for (int i = 0; i < 600; ++i) {
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_TRUE(fd);
    if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
      connections.push_back(std::move(fd));
    }
  }
  // Who is connected already is served, also what needs descriptors.
  EXPECT_OK(Exec(container_, {"/bin/true"}));
  const auto pod = RunPod(PodConfig("second"));
  ASSERT_OK(pod);
  // A connection is made before the daemon has looked at it.
  const absl::Time patience = absl::Now() + absl::Seconds(30);
  while (!absl::StrContains(DaemonLog(), "connections are refused")) {
    ASSERT_LT(absl::Now(), patience) << "none of " << connections.size() << " connections was refused";
    absl::SleepFor(absl::Milliseconds(10));
  }
  connections.clear();
  CriClient fresh(place_->socket());
  EXPECT_OK(fresh.WaitUntilServing(absl::Seconds(30)));
  ASSERT_EQ(prlimit(daemon_.pid(), RLIMIT_NOFILE, &old, nullptr), 0);
  EXPECT_OK(RemovePod(*pod));
  EXPECT_OK(RemovePod(pod_));
}

// A cgroup for the daemon alone and what it starts, with a limit of threads and processes.
class ThreadLimit {
 public:
  explicit ThreadLimit(pid_t pid) {
    EXPECT_OK(MakeDirs(directory_, 0755));
    EXPECT_OK(WriteFile(directory_ + "/cgroup.procs", absl::StrCat(pid)));
  }
  ~ThreadLimit() {
    // The daemon, and a supervisor that it has started ahead of its pod meanwhile, of two processes.
    for (const absl::Time end = absl::Now() + absl::Seconds(10); absl::Now() < end;) {
      const std::string members = ReadFile(directory_ + "/cgroup.procs", 4096).value_or("");
      if (members.empty()) break;
      for (absl::string_view member : absl::StrSplit(members, '\n', absl::SkipEmpty())) {
        WriteFile(kHierarchy + "/cgroup.procs", std::string(member)).IgnoreError();  // it may have ended
      }
      absl::SleepFor(absl::Milliseconds(10));
    }
    EXPECT_EQ(rmdir(directory_.c_str()), 0) << strerror(errno);
  }
  void LeaveRoomFor(int threads) {
    const auto current = ReadFile(directory_ + "/pids.current", 64);
    ASSERT_OK(current);
    int count = 0;
    ASSERT_TRUE(absl::SimpleAtoi(*current, &count)) << *current;
    ASSERT_OK(WriteFile(directory_ + "/pids.max", absl::StrCat(count + threads)));
  }
  void Lift() { EXPECT_OK(WriteFile(directory_ + "/pids.max", "max")); }

 private:
  static absl::Status WriteFile(const std::string& path, const std::string& text) {
    std::ofstream file(path);
    file << text << std::flush;
    return file ? absl::OkStatus() : ErrnoStatus(absl::StrCat("write ", text, " to ", path));
  }
  const std::string kHierarchy = "/sys/fs/cgroup/pids";
  const std::string directory_ = absl::StrCat(kHierarchy, "/", TheWorld().tag, "-daemon");
};

TEST_F(OverloadTest, WithoutThreadsItGoesOn) {
  RunOne("sleep 1000");
  ThreadLimit limit(daemon_.pid());
  ASSERT_NO_FATAL_FAILURE(limit.LeaveRoomFor(0));
  constexpr int kCalls = 240;
  {
    Flood flood(place_->socket(), 16);
    for (int i = 0; i < kCalls; ++i) flood.Send(&Flood::Async::ListContainers, cri::ListContainersRequest());
    EXPECT_EQ(flood.Wait(), (Counts{{grpc::StatusCode::OK, kCalls}})) << flood.last_error();
  }
  {
    Flood flood(place_->socket(), 16);
    for (int i = 0; i < kCalls; ++i) {
      cri::ExecSyncRequest exec;
      exec.set_container_id(container_);
      exec.add_cmd("/bin/true");
      flood.Send(&Flood::Async::ExecSync, exec);
    }
    EXPECT_EQ(flood.Wait(), (Counts{{grpc::StatusCode::OK, kCalls}})) << flood.last_error();
  }
  limit.Lift();
  const auto pod = RunPod(PodConfig("second"));
  ASSERT_OK(pod);
  EXPECT_OK(RemovePod(*pod));
  EXPECT_OK(RemovePod(pod_));
}

TEST_F(OverloadTest, ContainersHaveTheUsualLimitOfDescriptors) {
  rlimit own = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &own), 0);
  EXPECT_EQ(OutputOf("ulimit -Sn"), absl::StrCat(own.rlim_cur, "\n")) << "what the daemon was started with";
  std::ifstream limits(absl::StrCat("/proc/", daemon_.pid(), "/limits"));
  for (std::string line; std::getline(limits, line);) {
    if (!absl::StartsWith(line, "Max open files")) continue;
    EXPECT_TRUE(absl::StrContains(line, absl::StrCat(" ", own.rlim_max, " "))) << line;
  }
}

}  // namespace
}  // namespace berth
