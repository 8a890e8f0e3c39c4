// example: a snapshotter that any file system can hold. Each snapshot is a whole tree, copied from its parent's.
//
// ROOT/active/KEY    being unpacked, or a container's
// ROOT/layers/KEY    committed
// ROOT/trash/KEY     removed, waiting for Cleanup
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "berth/sdk/snapshotter.h"

namespace {

namespace fs = std::filesystem;
using berth::sdk::Call;
using berth::sdk::Result;
using berth::sdk::Status;

Status Failed(const std::string& what, const std::error_code& error) {
  return berth::sdk::ErrnoStatus(error.value(), what);
}

// The host checks keys; who makes paths of them checks again.
Status CheckKey(const std::string& key) {
  if (!key.empty() && key.size() <= 32 && key.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789") == key.npos) {
    return {};
  }
  return berth::sdk::InvalidArgument("\"" + key + "\" is no snapshot key");
}

class ExampleSnapshotter : public berth::sdk::Snapshotter {
 public:
  // Throwing here fails the start of the plugin with the exception's text; Path() throws when the key is no path.
  explicit ExampleSnapshotter(berth::sdk::Host host)
      : host_(std::move(host)),
        root_(host_.config().Path("root", host_.root() + "/snapshots/example")),
        cp_(host_.config().Path("cp", "/bin/cp")) {
    for (const fs::path& directory : {active_, layers_, trash_}) fs::create_directories(directory);
  }

  std::string root() const override { return root_; }

  Result<berth::sdk::PreparedSnapshot> Prepare(const Call& call, const berth::sdk::SnapshotRequest& request) override {
    BERTH_RETURN_IF_ERROR(CheckKey(request.key));
    if (!request.uid_map.empty() || !request.gid_map.empty() || request.quota_bytes != 0) {
      return berth::sdk::Unimplemented("snapshot " + request.key + ": no id mappings and no quota here");
    }
    const fs::path tree = active_ / request.key;
    if (fs::exists(layers_ / request.key)) return berth::sdk::AlreadyExists("snapshot " + request.key);
    std::error_code error;
    if (!fs::create_directory(tree, error)) {
      return error ? Failed("make " + tree.string(), error) : berth::sdk::AlreadyExists("snapshot " + request.key);
    }
    Result<berth::sdk::PreparedSnapshot> prepared = Fill(call, request, tree);
    if (!prepared.ok()) fs::remove_all(tree, error);  // all or nothing
    return prepared;
  }

  Result<std::vector<berth::sdk::Mount>> Mounts(const Call&, const berth::sdk::SnapshotRequest& request) override {
    BERTH_RETURN_IF_ERROR(CheckKey(request.key));
    const fs::path tree = active_ / request.key;
    if (!fs::exists(tree)) return berth::sdk::NotFound("snapshot " + request.key);
    const bool view = request.kind == berth::sdk::SnapshotKind::kView;
    return std::vector<berth::sdk::Mount>{{"bind", tree, "", {"bind", view ? "ro" : "rw"}}};
  }

  // The parents' files came with Prepare.
  Status Commit(const Call&, const std::string& key, const std::vector<std::string>&) override {
    BERTH_RETURN_IF_ERROR(CheckKey(key));
    if (fs::exists(layers_ / key)) return {};
    std::error_code error;
    fs::rename(active_ / key, layers_ / key, error);
    if (error) return Failed("commit snapshot " + key, error);
    return {};
  }

  Status Remove(const Call&, const std::string& key) override {
    BERTH_RETURN_IF_ERROR(CheckKey(key));
    std::error_code error;
    for (const fs::path& directory : {active_, layers_}) {
      fs::rename(directory / key, trash_ / key, error);
      if (!error) return {};
      if (error != std::errc::no_such_file_or_directory) break;
    }
    return Failed("remove snapshot " + key, error);
  }

  Result<berth::sdk::SnapshotInfo> Stat(const Call&, const std::string& key) override {
    BERTH_RETURN_IF_ERROR(CheckKey(key));
    if (fs::exists(layers_ / key)) return berth::sdk::SnapshotInfo{key, berth::sdk::SnapshotState::kCommitted};
    if (fs::exists(active_ / key)) return berth::sdk::SnapshotInfo{key, berth::sdk::SnapshotState::kActive};
    return berth::sdk::NotFound("snapshot " + key);
  }

  Result<berth::sdk::SnapshotUsage> Usage(const Call& call, const std::string& key) override {
    BERTH_ASSIGN_OR_RETURN(const berth::sdk::SnapshotInfo info, Stat(call, key));
    const fs::path tree = (info.state == berth::sdk::SnapshotState::kCommitted ? layers_ : active_) / key;
    berth::sdk::SnapshotUsage usage{0, 1};
    std::error_code error;
    for (fs::recursive_directory_iterator i(tree, error), end; !error && i != end; i.increment(error)) {
      BERTH_RETURN_IF_ERROR(call.Check());
      struct stat st = {};
      if (lstat(i->path().c_str(), &st) != 0) continue;  // a container removed it meanwhile
      usage.bytes += static_cast<uint64_t>(st.st_blocks) * 512;
      ++usage.inodes;
    }
    if (error) return Failed("count " + tree.string(), error);
    return usage;
  }

  Status Walk(const Call&, const std::function<void(const berth::sdk::SnapshotInfo&)>& visit) override {
    for (const auto& [directory, state] : {std::pair(active_, berth::sdk::SnapshotState::kActive),
                                           std::pair(layers_, berth::sdk::SnapshotState::kCommitted)}) {
      std::error_code error;
      for (fs::directory_iterator i(directory, error), end; !error && i != end; i.increment(error)) {
        visit({i->path().filename(), state});
      }
      if (error) return Failed("list " + directory.string(), error);
    }
    return {};
  }

  Status Cleanup(const Call& call) override {
    std::error_code error;
    for (fs::directory_iterator i(trash_, error), end; !error && i != end; i.increment(error)) {
      BERTH_RETURN_IF_ERROR(call.Check());
      fs::remove_all(i->path(), error);
    }
    if (error) return Failed("empty " + trash_.string(), error);
    return {};
  }

 private:
  Result<berth::sdk::PreparedSnapshot> Fill(const Call& call, const berth::sdk::SnapshotRequest& request,
                                            const fs::path& tree) {
    if (!request.parents.empty()) BERTH_RETURN_IF_ERROR(Copy(call, request.parents[0], tree));
    berth::sdk::PreparedSnapshot prepared;
    prepared.whiteouts = berth::sdk::WhiteoutStyle::kNone;
    if (request.kind == berth::sdk::SnapshotKind::kLayer) {
      prepared.directory = berth::sdk::UniqueFd(open(tree.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!prepared.directory) return berth::sdk::ErrnoStatus("open " + tree.string());
    } else {
      BERTH_ASSIGN_OR_RETURN(prepared.mounts, Mounts(call, request));
    }
    return prepared;
  }

  // A command, because copying owners, modes, links, devices and xattrs is cp's trade. The host runs it: its deadline
  // is the call's, and nothing is left behind when the call is cancelled.
  Status Copy(const Call& call, const std::string& parent, const fs::path& tree) {
    BERTH_RETURN_IF_ERROR(CheckKey(parent));
    if (!fs::exists(layers_ / parent)) return berth::sdk::NotFound("parent snapshot " + parent);
    berth::sdk::Command command;
    command.argv = {cp_, "-a", "--reflink=auto", "-T", (layers_ / parent).string(), tree.string()};
    BERTH_ASSIGN_OR_RETURN(const berth::sdk::CommandResult result, host_.Spawn(call, command));
    if (WIFEXITED(result.wait_status) && WEXITSTATUS(result.wait_status) == 0) return {};
    return berth::sdk::Internal("copy snapshot " + parent + " to " + tree.string() + ": " + result.err);
  }

  const berth::sdk::Host host_;
  const fs::path root_;
  const std::string cp_;
  const fs::path active_ = root_ / "active", layers_ = root_ / "layers", trash_ = root_ / "trash";
};

}  // namespace

BERTH_SNAPSHOTTER_PLUGIN("example", "1.0.0", ExampleSnapshotter);
