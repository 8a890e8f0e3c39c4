#include "core/container/apparmor_default.h"

#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/base/subprocess.h"

namespace berth {
namespace {

// Includes nothing, so that it depends on no file of the node. It keeps a container that has too many capabilities or
// too few masked paths from what belongs to the node; files it leaves to the mounts.
constexpr char kProfile[] = R"(# Berth's default profile for containers.
profile berth-default flags=(attach_disconnected,mediate_deleted) {
  capability,
  file,
  network,
  unix,
  umount,
  deny mount,

  # Who may signal or look into a container is up to his own rules; a container may with its like alone.
  signal (receive),
  signal (send) peer=berth-default,
  ptrace (readby, tracedby),
  ptrace (read, trace) peer=berth-default,

  # In /proc nothing is written but what belongs to a process.
  deny /proc/* w,
  deny /proc/[^1-9]*/** w,
  deny /proc/kcore rwklmx,
  deny /proc/sysrq-trigger rwklmx,

  # In /sys nothing but cgroups.
  deny /sys/[^f]*/** wkl,
  deny /sys/f[^s]*/** wkl,
  deny /sys/fs/[^c]*/** wkl,
  deny /sys/fs/c[^g]*/** wkl,
  deny /sys/firmware/** rwklmx,
  deny /sys/kernel/security/** rwklmx,
  deny /sys/devices/virtual/powercap/** rwklmx,
}
)";

}  // namespace

absl::Status AppArmorDefault::Load(const Call& call) {
  std::lock_guard lock(mutex_);
  const oci::AppArmorFacts facts = oci::ReadAppArmorFacts(places_);
  const bool there = facts.profiles.count(oci::kDefaultAppArmorProfile) > 0;
  if (!facts.enabled || (loaded_ && there)) return absl::OkStatus();
  const auto parser = std::find_if(parsers_.begin(), parsers_.end(),
                                   [](const std::string& path) { return access(path.c_str(), X_OK) == 0; });
  if (parser == parsers_.end()) {
    if (!there && !told_) {
      LogWarn("containers run without the default AppArmor profile: there is no apparmor_parser to load it; install it",
              {{"profile", oci::kDefaultAppArmorProfile}});
    }
    told_ = true;
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(Failpoint("container.apparmor.load"));
  Command command;
  command.argv = {*parser, "--replace", "--skip-cache"};
  command.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  command.input = kProfile;
  command.deadline_ns = call.deadline_ns;
  command.cancel_fd = call.cancel_fd;
  command.output_limit = 4096;
  const std::string what = absl::StrCat("load the AppArmor profile ", oci::kDefaultAppArmorProfile);
  const auto result = RunCommand(command);
  if (!result.ok()) return Annotate(result.status(), what);
  if (result->wait_status != 0) {
    return absl::FailedPreconditionError(absl::StrCat(what, ": ", *parser, " failed: ", result->err));
  }
  loaded_ = true;
  return absl::OkStatus();
}

}  // namespace berth
