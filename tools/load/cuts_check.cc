#include "tools/load/cuts_check.h"

#include <sqlite3.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <regex>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/cri/client/cri_client.h"
#include "proto/berth/state/v1/state.pb.h"
#include "tools/integration/isolation.h"
#include "tools/integration/leak_check.h"
#include "tools/load/cuts_images.h"
#include "tools/load/patient_client.h"

namespace berth {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kSoon = absl::Seconds(90);  // on a machine where processes start slowly

struct CloseDatabase {
  void operator()(sqlite3* db) const { sqlite3_close(db); }
};

// First columns, beside the daemon that holds the database.
absl::StatusOr<std::vector<std::string>> Query(const Place& place, const char* sql) {
  sqlite3* raw = nullptr;
  const int opened = sqlite3_open_v2((place.root() + "/meta.db").c_str(), &raw, SQLITE_OPEN_READWRITE, nullptr);
  const std::unique_ptr<sqlite3, CloseDatabase> db(raw);
  const auto error = [&] { return absl::DataLossError(absl::StrCat(sql, ": ", sqlite3_errmsg(raw))); };
  if (opened != SQLITE_OK) return error();
  sqlite3_busy_timeout(raw, 10'000);
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(raw, sql, -1, &statement, nullptr) != SQLITE_OK) return error();
  std::vector<std::string> rows;
  int result = 0;
  while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement, 0));
    rows.emplace_back(bytes == nullptr ? "" : bytes, static_cast<size_t>(sqlite3_column_bytes(statement, 0)));
  }
  sqlite3_finalize(statement);
  if (result != SQLITE_DONE) return error();
  return rows;
}

// Addresses that are given out. A file without its container's id is
// host-local's own loss: it writes it without a sync, so that a cut leaves the
// name alone, which no DEL finds.
std::vector<std::string> Leases(const Place& place) {
  std::vector<std::string> found;
  std::error_code error, gone;  // they are released while they are looked at
  fs::recursive_directory_iterator it(place.leases(), error), end;
  for (; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    if (name.find_first_not_of("0123456789.") != name.npos) continue;
    const auto size = it->file_size(gone);
    if (!gone && size > 0) found.push_back(name);
  }
  return found;
}

LeakCheck Leaks(const Place& place) {
  LeakCheck::Scope scope;
  scope.trees = {place.directory(), "/run", "/var/lib/cni"};
  scope.cgroup_mark = TheWorld().tag;
  scope.not_leaks = NotLeaks(place, TheWorld().tag);
  const std::string snapshots = place.root() + "/snapshots/snapshot_overlay";
  // Layers are compared with the database; an address without its container's
  // id is told in Leases.
  for (const std::string& line :
       {"(file|directory|link) " + snapshots + "/layers/.*", "file " + place.leases() + "/[^/]*/[0-9.]+",
        std::string("process .*/berth serve .*"), std::string("file .*/meta[.]db-(wal|shm)")}) {
    scope.not_leaks.emplace_back(line);
  }
  return LeakCheck(std::move(scope));
}

class Check {
 public:
  explicit Check(const CutsNode& node)
      : node_(node), client_(node.options.socket), patient_(node.options.socket, false, &report_) {}

  std::vector<std::string> faults() const { return faults_; }
  void Fault(const std::string& text) { faults_.push_back(text); }
  bool Expect(const std::string& what, const absl::Status& status) {
    if (!status.ok()) Fault(absl::StrCat(what, ": ", status.ToString()));
    return status.ok();
  }

  void Database() {
    const auto answer = Query(*node_.place, "PRAGMA integrity_check");
    if (Expect("the store", answer.status()) && *answer != std::vector<std::string>{"ok"}) {
      Fault("the store is damaged: " + absl::StrJoin(*answer, "; "));
    }
  }

  void Images(const LedgerAccount& account) {
    const auto listed = client_.ListImages(cri::ListImagesRequest());
    if (!Expect("list images", listed.status())) return;
    std::set<std::string> names;
    for (const auto& image : listed->images()) names.insert(image.repo_tags().begin(), image.repo_tags().end());
    for (const std::string& image : account.images_there) {
      if (names.count(image) == 0) Fault(image + " is lost: its pull was answered before the cut");
    }
    for (const std::string& image : account.images_gone) {
      if (names.count(image) != 0) Fault(image + " is back: its removal was answered before the cut");
    }
    for (int number = 0; number < kCutsImages; ++number) {
      if (names.count(CutsImage(number)) != 0) images_.push_back(number);
    }
  }

  void Pods(const LedgerAccount& account) {
    const auto pods = client_.ListPodSandbox(cri::ListPodSandboxRequest());
    const auto containers = client_.ListContainers(cri::ListContainersRequest());
    if (!Expect("list pods", pods.status()) || !Expect("list containers", containers.status())) return;
    for (const auto& pod : pods->items()) {
      if (pod.state() != cri::SANDBOX_NOTREADY) Fault("a pod of the boot before: " + pod.ShortDebugString());
      if (account.pods_gone.count(pod.id()) != 0) Fault("a pod is back whose removal was answered: " + pod.id());
      pods_.push_back(pod.id());
    }
    for (const auto& container : containers->containers()) {
      if (container.state() != cri::CONTAINER_EXITED)
        Fault("a container of the boot before: " + container.ShortDebugString());
      if (account.containers_gone.count(container.id()) != 0)
        Fault("a container is back whose removal was answered: " + container.id());
    }
  }

  // By itself; nobody asks for it.
  void Networks() {
    std::vector<std::string> left = Leases(*node_.place);
    for (const absl::Time end = absl::Now() + kSoon; !left.empty() && absl::Now() < end; left = Leases(*node_.place))
      absl::SleepFor(absl::Milliseconds(50));
    if (!left.empty()) Fault("addresses of the boot before are not released: " + absl::StrJoin(left, " "));
  }

  void RemovePods() {
    for (const std::string& pod : pods_) Remove(pod);
  }

  void RunEachImage() {
    for (const int number : images_) {
      if (absl::Status ran = RunOne(number); !ran.ok()) Fault(absl::StrCat(CutsImage(number), ": ", ran.ToString()));
    }
  }

  void RemoveImages() {
    for (int number = 0; number < kCutsImages; ++number) {
      node_.ledger->Write(LedgerVerb::kRemovingImage, CutsImage(number));
      if (Expect("remove an image", patient_.RemoveImage(CutsImage(number))))
        node_.ledger->Write(LedgerVerb::kRemovedImage, CutsImage(number));
    }
  }

  // What the daemon removes behind its answers takes a moment.
  void Snapshots() {
    absl::Status agree = RowsAndTreesAgree();
    for (const absl::Time end = absl::Now() + kSoon; !agree.ok() && absl::Now() < end; agree = RowsAndTreesAgree())
      absl::SleepFor(absl::Milliseconds(50));
    Expect("snapshots", agree);
  }

  void NothingLeft() {
    const auto baseline = ReadFile(node_.baseline);
    if (!Expect("the baseline", baseline.status())) return;
    LeakCheck::Snapshot before;
    for (absl::string_view line : absl::StrSplit(*baseline, '\n', absl::SkipEmpty())) before.emplace(line);
    for (const std::string& leak : Leaks(*node_.place).Leaks(before, std::chrono::seconds(30))) Fault("left: " + leak);
  }

 private:
  void Remove(const std::string& pod) {
    node_.ledger->Write(LedgerVerb::kRemovingPod, pod);
    if (Expect("remove a pod", patient_.RemovePod(pod))) node_.ledger->Write(LedgerVerb::kRemovedPod, pod);
  }

  absl::Status RunOne(int number) {
    LoadOptions options = node_.options;
    options.image = CutsImage(number);
    const cri::PodSandboxConfig config = LoadPod(options, absl::StrCat("check", number));
    ASSIGN_OR_RETURN(const std::string pod, patient_.RunPod(config));
    node_.ledger->Write(LedgerVerb::kPod, pod);
    absl::Status looked = LookInside(number, pod, config, options);
    Remove(pod);
    return looked;
  }

  absl::Status LookInside(int number, const std::string& pod, const cri::PodSandboxConfig& config,
                          const LoadOptions& options) {
    ASSIGN_OR_RETURN(const std::string container,
                     patient_.Create(pod, config, LoadContainer(options, "look", "sleep 1000")));
    node_.ledger->Write(LedgerVerb::kContainer, container);
    RETURN_IF_ERROR(patient_.Start(container));
    ASSIGN_OR_RETURN(const int pid, patient_.Pid(container));
    return CheckCutsRootfs(number, absl::StrCat("/proc/", pid, "/root"));
  }

  absl::Status RowsAndTreesAgree() {
    ASSIGN_OR_RETURN(const std::vector<std::string> rows, Query(*node_.place, "SELECT data FROM layers"));
    std::set<std::string> keys;
    for (const std::string& data : rows) {
      state::v1::Layer row;
      if (!row.ParseFromString(data)) return absl::DataLossError("a layer's row is no message");
      keys.insert(row.snapshot_key());
    }
    const std::string root = node_.place->root() + "/snapshots/snapshot_overlay";
    ASSIGN_OR_RETURN(const std::vector<std::string> layers, ListDir(root + "/layers"));
    if (keys != std::set<std::string>(layers.begin(), layers.end())) {
      return absl::DataLossError(
          absl::StrCat("rows of layers ", absl::StrJoin(keys, " "), ", trees ", absl::StrJoin(layers, " ")));
    }
    for (const char* part : {"/active", "/trash"}) {
      ASSIGN_OR_RETURN(const std::vector<std::string> left, ListDir(root + part));
      if (!left.empty()) return absl::DataLossError(absl::StrCat("left in ", part, ": ", absl::StrJoin(left, " ")));
    }
    ASSIGN_OR_RETURN(const std::vector<std::string> intents, Query(*node_.place, "SELECT key FROM intents"));
    if (!intents.empty()) return absl::DataLossError("open intents: " + absl::StrJoin(intents, ", "));
    return absl::OkStatus();
  }

  const CutsNode& node_;
  LoadReport report_;
  CriClient client_;
  PatientClient patient_;
  std::vector<std::string> faults_, pods_;
  std::vector<int> images_;
};

}  // namespace

absl::Status NoteWhatANodeHas(const CutsNode& node) {
  return WriteFileAtomic(node.baseline, absl::StrJoin(Leaks(*node.place).TakeWithSpare(), "\n"), 0644,
                         Durability::kDurable);
}

std::vector<std::string> CheckAfterACut(const CutsNode& node, const LedgerAccount& account) {
  Check check(node);
  check.Database();
  check.Images(account);
  check.Pods(account);
  check.Networks();
  check.RemovePods();
  check.RunEachImage();
  check.Snapshots();
  check.NothingLeft();
  return check.faults();
}

std::vector<std::string> CheckTheEnd(const CutsNode& node) {
  Check check(node);
  check.RemoveImages();
  check.Snapshots();
  check.NothingLeft();
  return check.faults();
}

}  // namespace berth
