#include "plugins/executor_oci/cli_executor.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <utility>

#include "plugins/executor_oci/error_text.h"
#include "plugins/executor_oci/resources_file.h"
#include "plugins/executor_oci/runtime_output.h"

namespace berth::executor_oci {
namespace {

constexpr size_t kMaxId = 128;
constexpr size_t kSupervisedOutput = 16 << 10;  // the supervisor keeps tails of this size
constexpr int64_t kCleanupSeconds = 30;
constexpr int kMaxSignal = 64;
constexpr char kPath[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

using Purpose = sdk::SupervisedCommand::Purpose;

int64_t MonotonicNanos() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

sdk::Call Limited(const sdk::Call& call, int64_t seconds) {
  sdk::Call out = call;
  out.deadline_ns = std::min(out.deadline_ns, MonotonicNanos() + seconds * int64_t{1'000'000'000});
  return out;
}

// An id becomes a word of a command line and a directory's name.
sdk::Status CheckId(const std::string& id) {
  const auto good = [](unsigned char c) { return isalnum(c) || c == '_' || c == '-' || c == '.'; };
  if (!id.empty() && id.size() <= kMaxId && isalnum(static_cast<unsigned char>(id[0])) &&
      std::all_of(id.begin(), id.end(), good)) {
    return {};
  }
  return sdk::InvalidArgument("container id \"" + id.substr(0, kMaxId) + "\": want letters, digits, _ - .");
}

sdk::Status CheckPath(const std::string& path, const char* what) {
  if (!path.empty() && path[0] == '/' && path.find('\0') == std::string::npos) return {};
  return sdk::InvalidArgument(std::string(what) + " \"" + path + "\": want an absolute path");
}

// What is attempted, as the command line says it. The host names the instance before it.
std::string What(const std::string& command, const std::string& id) {
  return id.empty() ? command : command + " " + id;
}

// /run may be empty after a boot.
sdk::Status MakeRoot(const std::string& root) {
  for (size_t end = root.find('/', 1);; end = root.find('/', end + 1)) {
    const std::string part = root.substr(0, end);
    const mode_t mode = end == std::string::npos ? 0700 : 0755;
    if (mkdir(part.c_str(), mode) != 0 && errno != EEXIST) return sdk::ErrnoStatus("mkdir " + part);
    if (end == std::string::npos) return {};
  }
}

// Recursive read-only and id-mapped mounts are made with it (Linux 5.12), whatever the runtime says of itself.
bool KernelHasMountSetattr() { return syscall(SYS_mount_setattr, -1, "", 0, nullptr, 0) == 0 || errno != ENOSYS; }

}  // namespace

sdk::Result<std::unique_ptr<CliExecutor>> CliExecutor::Open(Settings settings, std::unique_ptr<CommandRunner> runner) {
  std::unique_ptr<CliExecutor> out(new CliExecutor(std::move(settings), std::move(runner)));
  BERTH_ASSIGN_OR_RETURN(const Identity identity, out->BinaryIdentity());
  static_cast<void>(identity);
  BERTH_RETURN_IF_ERROR(CheckPath(out->settings_.root, "root"));
  BERTH_RETURN_IF_ERROR(MakeRoot(out->settings_.root));
  return out;
}

sdk::Result<CliExecutor::Identity> CliExecutor::BinaryIdentity() const {
  struct stat st;
  int err = 0;
  if (stat(settings_.binary.c_str(), &st) != 0) {
    err = errno;
  } else if (!S_ISREG(st.st_mode)) {
    err = S_ISDIR(st.st_mode) ? EISDIR : EACCES;
  } else if (access(settings_.binary.c_str(), X_OK) != 0) {
    err = errno;
  }
  if (err != 0) {
    const sdk::Status status = sdk::ErrnoStatus(err, "binary = \"" + settings_.binary + "\"");
    return sdk::Status(sdk::Code::kFailedPrecondition,
                       status.message() + " (install that OCI runtime, or set the key `binary` to where it is)", err);
  }
  return Identity{st.st_dev, st.st_ino, st.st_size, st.st_ctim.tv_sec * int64_t{1'000'000'000} + st.st_ctim.tv_nsec};
}

std::vector<std::string> CliExecutor::Argv(std::vector<std::string> rest) const {
  std::vector<std::string> out = {settings_.binary, "--root", settings_.root};
  out.insert(out.end(), settings_.args.begin(), settings_.args.end());
  out.insert(out.end(), std::make_move_iterator(rest.begin()), std::make_move_iterator(rest.end()));
  return out;
}

// The command was not run, or not to its end. A program that vanished is not a container that did.
sdk::Status CliExecutor::NotRun(const sdk::Status& status, const std::string& what) const {
  if (status.code() == sdk::Code::kNotFound) {
    if (auto identity = BinaryIdentity(); !identity.ok()) return sdk::Annotate(identity.status(), what);
  }
  return sdk::Annotate(status, what);
}

sdk::Status CliExecutor::Failed(const std::string& command, const std::string& id, int wait_status,
                                const std::string& err) const {
  const std::string text = ErrorText(err);
  if (WIFSIGNALED(wait_status)) {
    return sdk::Internal(What(command, id) + ": killed by signal " + std::to_string(WTERMSIG(wait_status)) +
                         (text.empty() ? "" : ": " + text));
  }
  if (text.empty()) {
    return sdk::Internal(What(command, id) + ": exit status " + std::to_string(WEXITSTATUS(wait_status)) +
                         " without a message");
  }
  return sdk::Status(CodeOfText(command, text, id), What(command, id) + ": " + text);
}

// create and exec: the answer is the pid that the command wrote.
sdk::Result<pid_t> CliExecutor::RunWithPid(const sdk::Call& call, const std::string& name,
                                           sdk::SupervisedCommand command) {
  const std::string id = command.container_id;
  command.env = {kPath};
  const auto result = runner_->RunSupervised(Limited(call, settings_.timeout_seconds), command);
  if (!result.ok()) return NotRun(result.status(), What(name, id));
  if ((*result).wait_status != 0) return Failed(name, id, (*result).wait_status, (*result).err);
  if ((*result).pid <= 0) return sdk::Internal(What(name, id) + ": it wrote no pid to " + command.pid_file);
  return (*result).pid;
}

sdk::Result<std::string> CliExecutor::RunInPod(const sdk::Call& call, const std::string& pod_id, const std::string& id,
                                               std::vector<std::string> words) {
  const std::string name = words[0];
  sdk::SupervisedCommand command;
  command.pod_id = pod_id;
  command.container_id = id;
  command.argv = Argv(std::move(words));
  command.env = {kPath};
  auto result = runner_->RunSupervised(Limited(call, settings_.timeout_seconds), command);
  if (!result.ok()) return NotRun(result.status(), What(name, id));
  if ((*result).wait_status != 0) return Failed(name, id, (*result).wait_status, (*result).err);
  return std::move((*result).out);
}

sdk::Result<std::string> CliExecutor::RunHere(const sdk::Call& call, const std::string& id,
                                              std::vector<std::string> words) {
  const std::string name = words[0];
  sdk::Command command;
  command.argv = Argv(std::move(words));
  command.env = {kPath};
  command.output_limit = kMaxOutput;
  auto result = runner_->Spawn(Limited(call, settings_.timeout_seconds), command);
  if (!result.ok()) {
    // kNotFound would say that the container is: it is the program, or what that needs.
    const sdk::Status status = NotRun(result.status(), What(name, id));
    return status.code() == sdk::Code::kNotFound ? sdk::FailedPrecondition(status.message()) : status;
  }
  if ((*result).wait_status != 0) return Failed(name, id, (*result).wait_status, (*result).err);
  return std::move((*result).out);
}

// kill, delete and state work without the pod's supervisor too, and must when it died.
sdk::Result<std::string> CliExecutor::RunAnywhere(const sdk::Call& call, const sdk::ContainerRequest& request,
                                                  std::vector<std::string> words) {
  const std::string name = words[0];
  sdk::SupervisedCommand command;
  command.pod_id = request.pod_id;
  command.container_id = request.id;
  command.argv = Argv(words);
  command.env = {kPath};
  auto result = runner_->RunSupervised(Limited(call, settings_.timeout_seconds), command);
  if (!result.ok()) {
    const sdk::Code code = result.status().code();
    const bool no_supervisor =
        code == sdk::Code::kNotFound || code == sdk::Code::kUnavailable || code == sdk::Code::kFailedPrecondition;
    return no_supervisor ? RunHere(call, request.id, std::move(words))
                         : sdk::Result<std::string>(NotRun(result.status(), What(name, request.id)));
  }
  if ((*result).wait_status != 0) return Failed(name, request.id, (*result).wait_status, (*result).err);
  // A longer answer has lost its beginning.
  if ((*result).out.size() >= kSupervisedOutput) return RunHere(call, request.id, std::move(words));
  return std::move((*result).out);
}

sdk::Result<pid_t> CliExecutor::CreateOnce(const sdk::Call& call, const sdk::ContainerRequest& request) {
  sdk::SupervisedCommand command;
  command.purpose = Purpose::kCreate;
  command.pod_id = request.pod_id;
  command.container_id = request.id;
  command.pid_file = request.pid_file;
  std::vector<std::string> words = {"create", "--bundle", request.bundle, "--pid-file", request.pid_file};
  if (!request.console_socket.empty()) words.insert(words.end(), {"--console-socket", request.console_socket});
  words.push_back(request.id);
  command.argv = Argv(std::move(words));
  return RunWithPid(call, "create", std::move(command));
}

sdk::Result<pid_t> CliExecutor::Create(const sdk::Call& call, const sdk::ContainerRequest& request) {
  BERTH_RETURN_IF_ERROR(CheckId(request.id));
  BERTH_RETURN_IF_ERROR(CheckPath(request.bundle, "bundle"));
  BERTH_RETURN_IF_ERROR(CheckPath(request.pid_file, "pid file"));
  if (!request.console_socket.empty()) BERTH_RETURN_IF_ERROR(CheckPath(request.console_socket, "console socket"));
  // Looked at here, so that what is deleted below is never a container that was there before.
  if (access((settings_.root + "/" + request.id).c_str(), F_OK) == 0) {
    return sdk::AlreadyExists(What("create", request.id) + ": the container exists already");
  }
  auto pid = CreateOnce(call, request);
  if (!pid.ok() && pid.status().code() != sdk::Code::kAlreadyExists) {
    sdk::Call cleanup;  // the caller may have no time left
    cleanup.trace_id = call.trace_id;
    static_cast<void>(Delete(Limited(cleanup, kCleanupSeconds), request));
  }
  return pid;
}

sdk::Status CliExecutor::Start(const sdk::Call& call, const sdk::ContainerRequest& request) {
  BERTH_RETURN_IF_ERROR(CheckId(request.id));
  return RunInPod(call, request.pod_id, request.id, {"start", request.id}).status();
}

sdk::Status CliExecutor::Kill(const sdk::Call& call, const sdk::ContainerRequest& request, int signal, bool all) {
  BERTH_RETURN_IF_ERROR(CheckId(request.id));
  if (signal < 1 || signal > kMaxSignal) {
    return sdk::InvalidArgument("kill container " + request.id + ": there is no signal " + std::to_string(signal));
  }
  std::vector<std::string> words = {"kill"};
  if (all) words.push_back("--all");
  words.insert(words.end(), {request.id, std::to_string(signal)});
  const sdk::Status killed = RunAnywhere(call, request, std::move(words)).status();
  if (killed.ok() || killed.code() == sdk::Code::kNotFound) return {};
  // Each runtime and version words "it has ended" in its own way; what is so is asked.
  const auto state = State(call, request);
  const bool gone =
      state.ok() ? (*state).state == sdk::ExecutorState::kStopped : state.status().code() == sdk::Code::kNotFound;
  return gone ? sdk::Status() : killed;
}

sdk::Status CliExecutor::Delete(const sdk::Call& call, const sdk::ContainerRequest& request) {
  BERTH_RETURN_IF_ERROR(CheckId(request.id));
  const sdk::Status deleted = RunAnywhere(call, request, {"delete", "--force", request.id}).status();
  if (!deleted.ok() && deleted.code() != sdk::Code::kNotFound) return deleted;
  RemoveLeftovers(request.id);
  return {};
}

// A create that was killed early leaves a directory that runc does not take for a container, but for a name in use.
void CliExecutor::RemoveLeftovers(const std::string& id) const {
  const std::string path = settings_.root + "/" + id;
  const sdk::UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return;
  for (const char* name : {"state.json", "exec.fifo", "notify.sock", "config.json", "status"}) {
    unlinkat(fd.get(), name, 0);
  }
  rmdir(path.c_str());
}

sdk::Result<pid_t> CliExecutor::Exec(const sdk::Call& call, const sdk::ExecRequest& request) {
  BERTH_RETURN_IF_ERROR(CheckId(request.container_id));
  BERTH_RETURN_IF_ERROR(CheckPath(request.process_file, "process file"));
  BERTH_RETURN_IF_ERROR(CheckPath(request.pid_file, "pid file"));
  if (!request.console_socket.empty()) BERTH_RETURN_IF_ERROR(CheckPath(request.console_socket, "console socket"));
  sdk::SupervisedCommand command;
  command.purpose = Purpose::kExec;
  command.pod_id = request.pod_id;
  command.container_id = request.container_id;
  command.exec_id = request.exec_id;
  command.pid_file = request.pid_file;
  std::vector<std::string> words = {"exec",       "--detach",      "--process", request.process_file,
                                    "--pid-file", request.pid_file};
  if (!request.console_socket.empty()) words.insert(words.end(), {"--console-socket", request.console_socket});
  words.push_back(request.container_id);
  command.argv = Argv(std::move(words));
  return RunWithPid(call, "exec", std::move(command));
}

sdk::Status CliExecutor::Update(const sdk::Call& call, const sdk::ContainerRequest& request,
                                const std::string& resources_json) {
  BERTH_RETURN_IF_ERROR(CheckId(request.id));
  BERTH_RETURN_IF_ERROR(CheckPath(request.bundle, "bundle"));
  auto file = ResourcesFile::Write(request.bundle, resources_json);
  if (!file.ok()) return sdk::Annotate(file.status(), "update container " + request.id);
  return RunInPod(call, request.pod_id, request.id, {"update", "--resources", (*file).path(), request.id}).status();
}

sdk::Status CliExecutor::Pause(const sdk::Call& call, const sdk::ContainerRequest& request) {
  BERTH_RETURN_IF_ERROR(CheckId(request.id));
  const sdk::Status paused = RunInPod(call, request.pod_id, request.id, {"pause", request.id}).status();
  if (paused.ok()) return paused;
  const auto state = State(call, request);
  return state.ok() && (*state).state == sdk::ExecutorState::kPaused ? sdk::Status() : paused;
}

sdk::Status CliExecutor::Resume(const sdk::Call& call, const sdk::ContainerRequest& request) {
  BERTH_RETURN_IF_ERROR(CheckId(request.id));
  const sdk::Status resumed = RunInPod(call, request.pod_id, request.id, {"resume", request.id}).status();
  if (resumed.ok()) return resumed;
  const auto state = State(call, request);
  return state.ok() && (*state).state == sdk::ExecutorState::kRunning ? sdk::Status() : resumed;
}

sdk::Result<sdk::ExecutorContainer> CliExecutor::State(const sdk::Call& call, const sdk::ContainerRequest& request) {
  BERTH_RETURN_IF_ERROR(CheckId(request.id));
  BERTH_ASSIGN_OR_RETURN(const std::string out, RunAnywhere(call, request, {"state", request.id}));
  auto parsed = ParseState(out);
  if (!parsed.ok()) return sdk::Annotate(parsed.status(), What("state", request.id));
  return parsed;
}

sdk::Result<sdk::ExecutorFeatures> CliExecutor::Features(const sdk::Call& call) {
  BERTH_ASSIGN_OR_RETURN(const Identity identity, BinaryIdentity());
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (features_ && features_of_ == identity) return *features_;
  }
  BERTH_ASSIGN_OR_RETURN(const std::string version, RunHere(call, "", {"--version"}));
  sdk::Command command;
  command.argv = Argv({"features"});
  command.env = {kPath};
  command.output_limit = kMaxOutput;
  // One that is older than this command says that it is unknown.
  const auto features = runner_->Spawn(Limited(call, settings_.timeout_seconds), command);
  if (!features.ok()) return NotRun(features.status(), What("features", ""));
  const bool has_features = (*features).wait_status == 0 && !(*features).truncated;
  sdk::ExecutorFeatures out = ParseFeatures(version, has_features ? (*features).out : "", settings_.binary);
  const bool kernel = KernelHasMountSetattr();
  out.recursive_read_only = out.recursive_read_only && kernel;
  out.id_mapped_mounts = out.id_mapped_mounts && kernel;
  const std::lock_guard<std::mutex> lock(mutex_);
  features_of_ = identity;
  features_ = out;
  return out;
}

}  // namespace berth::executor_oci
