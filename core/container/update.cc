// UpdateContainerResources: all or nothing. The cgroup, the bundle's config.json and the record say the same before and
// after; what the cgroup held is in the record while it is changed, so that also the next daemon can put it back.
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/failpoint.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/container/containers.h"
#include "core/container/oom_score.h"
#include "core/oci/json.h"
#include "core/oci/resource_update.h"
#include "core/oci/resources.h"
#include "core/pod/cgroup_limits.h"

namespace berth {
namespace {

using runtime::v1::LinuxContainerResources;

constexpr uint64_t kMostSpecBytes = 64 << 20;
constexpr char kQuotaFile[] = "cpu.cfs_quota_us";

LinuxContainerResources ResourcesOf(const state::v1::Container& record) {
  LinuxContainerResources resources;
  resources.ParseFromString(record.resources());  // a row that a build of Berth wrote always parses
  return resources;
}

// What executors' update commands do not do: hugepages (runc), the end of a quota on version 1 (crun, see
// ResourcesJson).
CgroupLimits LimitsOfOurOwn(const LinuxContainerResources& wanted, int version, const CgroupLimits& known) {
  CgroupLimits limits;
  if (version == 1 && wanted.cpu_quota() < 0 && known.count(kQuotaFile) != 0) limits[kQuotaFile] = "-1";
  for (const runtime::v1::HugepageLimit& limit : wanted.hugepage_limits()) {
    for (const char* kind : {"", ".rsvd"}) {
      const std::string file =
          absl::StrCat("hugetlb.", limit.page_size(), kind, version == 1 ? ".limit_in_bytes" : ".max");
      if (known.count(file) != 0) limits[file] = absl::StrCat(limit.limit());
    }
  }
  return limits;
}

}  // namespace

void Containers::UpdateResources(const std::string& id, const LinuxContainerResources& update, Done done) {
  auto found = Find(id);
  if (!found.ok()) return done(found.status());
  const std::string what = absl::StrCat("update the resources of container ", (*found)->id());
  if (absl::Status bad = oci::CheckResourceUpdate(update); !bad.ok()) return done(Annotate(bad, what));
  if (oci::ChangesNothing(update)) return done(absl::OkStatus());
  (*found)->pod()->queue().Add([this, container = *found, update, what, done = std::move(done)] {
    done(Annotate(UpdateOnQueue(container, update), what));
  });
}

absl::Status Containers::UpdateOnQueue(const std::shared_ptr<Container>& container,
                                       const LinuxContainerResources& update) {
  // One whose undoing failed comes first: what holds now is neither the old nor the new.
  RETURN_IF_ERROR(UndoUpdate(container));
  state::v1::Container record = container->view()->record;
  const Handler* handler = container->pod()->handler();
  if (record.state() != state::v1::Container::CREATED && record.state() != state::v1::Container::RUNNING) {
    return absl::FailedPreconditionError(absl::StrCat("it is ", state::v1::Container::State_Name(record.state()),
                                                      "; only a CREATED or RUNNING one has resources to change"));
  }
  if (handler == nullptr) return absl::FailedPreconditionError("its runtime handler is not configured any more");
  const LinuxContainerResources wanted = oci::MergeResources(ResourcesOf(record), update);
  ASSIGN_OR_RETURN(const nlohmann::json json, oci::ResourcesJson(wanted, cgroup_facts_));

  std::vector<std::string> also;
  for (const auto& [file, value] : wanted.unified()) also.push_back(file);
  const CgroupLimits before = ReadLimits(*env_.cgroups, record.cgroup_path(), also);
  state::v1::ResourceUpdate* intent = record.mutable_update();
  intent->set_wanted(wanted.SerializeAsString());
  intent->mutable_limits()->insert(before.begin(), before.end());
  if (record.pid() > 0 && update.oom_score_adj() != 0) {
    ASSIGN_OR_RETURN(const int score, ReadOomScoreAdj(record.pid()));
    intent->set_oom_score_adj(score);
  }
  RETURN_IF_ERROR(Save(container, record));
  absl::Status status = Apply(*container, wanted, json, LimitsOfOurOwn(wanted, env_.cgroups->version(), before));
  if (status.ok()) status = Failpoint("container.update.commit");
  if (status.ok()) {
    record.set_resources(wanted.SerializeAsString());
    record.clear_update();
    status = Save(container, record);
  }
  if (status.ok()) {
    LogInfo("container's resources are updated", {{"container", container->id()}});
    return absl::OkStatus();
  }
  if (absl::Status undone = UndoUpdate(container); !undone.ok()) {
    LogError("undo an update of resources; the next update or start tries again",
             {{"container", container->id()}, {"error", undone.message()}});
    return Annotate(status, absl::StrCat("the old limits could not be put back (", undone.message(), "); first"));
  }
  return status;
}

absl::Status Containers::Apply(const Container& container, const LinuxContainerResources& wanted,
                               const nlohmann::json& json, const std::map<std::string, std::string>& more) {
  const std::shared_ptr<const ContainerView> view = container.view();
  RETURN_IF_ERROR(Failpoint("container.update.executor"));
  if (!json.empty()) {
    ASSIGN_OR_RETURN(const std::string text, DumpJson(json, "resources"));
    RETURN_IF_ERROR(container.pod()->handler()->executor->Update(ExecutorCall(), RequestFor(container), text));
  }
  RETURN_IF_ERROR(WriteLimits(*env_.cgroups, view->record.cgroup_path(), more));
  RETURN_IF_ERROR(Failpoint("container.update.oom_score"));
  std::optional<int> score;
  if (view->record.update().has_oom_score_adj()) {
    ASSIGN_OR_RETURN(
        score, SetOomScoreAdj(view->record.pid(), env_.cgroups->FileOf(view->record.cgroup_path(), "cgroup.procs"),
                              static_cast<int>(wanted.oom_score_adj())));
  }
  return RewriteSpec(container, json, score);
}

absl::Status Containers::RewriteSpec(const Container& container, const nlohmann::json& resources,
                                     std::optional<int> oom_score_adj) {
  RETURN_IF_ERROR(Failpoint("container.update.spec"));
  const std::string file = BundleOf(container.id()) + "/config.json";
  ASSIGN_OR_RETURN(const std::string old, ReadFile(file, kMostSpecBytes));
  ASSIGN_OR_RETURN(const std::string spec, oci::SpecWithResources(old, resources, oom_score_adj));
  return WriteFileAtomic(file, spec, 0600, Durability::kVolatile);
}

absl::Status Containers::UndoUpdate(const std::shared_ptr<Container>& container) {
  state::v1::Container record = container->view()->record;
  if (!record.has_update()) return absl::OkStatus();
  RETURN_IF_ERROR(Failpoint("container.update.undo"));
  const LinuxContainerResources old = ResourcesOf(record);
  const state::v1::ResourceUpdate& update = record.update();
  ASSIGN_OR_RETURN(const nlohmann::json json, oci::ResourcesJson(old, cgroup_facts_));
  std::optional<int> score;
  if (update.has_oom_score_adj()) score = update.oom_score_adj();
  if (record.state() == state::v1::Container::CREATED || record.state() == state::v1::Container::RUNNING) {
    LinuxContainerResources wanted;
    wanted.ParseFromString(update.wanted());
    if (const Handler* handler = container->pod()->handler(); handler != nullptr) {
      ASSIGN_OR_RETURN(const nlohmann::json undo, oci::UndoResourcesJson(old, wanted, cgroup_facts_));
      ASSIGN_OR_RETURN(const std::string text, DumpJson(undo, "resources"));
      // For what the executor itself remembers; whether the limits hold is seen from the group's files.
      const absl::Status told = handler->executor->Update(ExecutorCall(), RequestFor(*container), text);
      if (!told.ok()) LogWarn("undo an update", {{"container", container->id()}, {"error", told.message()}});
    }
    RETURN_IF_ERROR(
        WriteLimits(*env_.cgroups, record.cgroup_path(), CgroupLimits(update.limits().begin(), update.limits().end())));
    if (score) {
      // failpoint: container.update.undo
      const auto set = SetOomScoreAdj(record.pid(), env_.cgroups->FileOf(record.cgroup_path(), "cgroup.procs"), *score);
      if (!set.ok() && !absl::IsNotFound(set.status())) return set.status();  // not found: it has ended meanwhile
    }
    RETURN_IF_ERROR(RewriteSpec(*container, json, score));
  }
  record.clear_update();
  return Save(container, record);
}

}  // namespace berth
