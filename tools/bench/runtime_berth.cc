#include "core/base/status.h"
#include "core/cri/client/cri_client.h"
#include "tools/bench/runtime.h"
#include "tools/bench/stand_ins.h"
#include "tools/integration/place.h"

namespace berth {
namespace {

class BerthRuntime : public Runtime {
 public:
  BerthRuntime(Place place, StandIns stand_ins, DaemonProcess daemon, std::string program)
      : place_(std::move(place)),
        stand_ins_(std::move(stand_ins)),
        daemon_(std::move(daemon)),
        program_(std::move(program)) {}

  std::string name() const override { return "berth"; }
  std::string socket() const override { return place_.socket(); }
  std::string program() const override { return program_; }
  pid_t pid() const override { return daemon_.pid(); }
  std::string logs() const override { return place_.logs(); }
  absl::StatusOr<std::vector<ProcessTime>> TakeTimes() override { return stand_ins_.Take(); }

 private:
  Place place_;
  StandIns stand_ins_;
  DaemonProcess daemon_;
  std::string program_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Runtime>> StartBerth(const RuntimeOptions& options) {
  ASSIGN_OR_RETURN(StandIns stand_ins, StandIns::Make(options.directory + "/timed", options.runfiles,
                                                      {options.executor, "/usr/lib/cni/bridge"}));
  PlaceOptions place_options;
  place_options.log_level = "info";
  place_options.state = options.directory + "/state";
  place_options.network_registries = true;
  place_options.crun = stand_ins.directory() + options.executor.substr(options.executor.rfind('/'));
  place_options.cni_bin_dir = stand_ins.directory();
  ASSIGN_OR_RETURN(Place place,
                   Place::Make(options.directory + "/place", BuiltPlugins(options.runfiles), place_options));
  const std::string program = BuiltDaemon(options.runfiles);
  ASSIGN_OR_RETURN(DaemonProcess daemon, DaemonProcess::Start(program, place.config(), place.daemon_log()));
  CriClient client(place.socket());
  RETURN_IF_ERROR(client.WaitUntilServing(absl::Seconds(60)));
  cri::PullImageRequest pull;
  pull.mutable_image()->set_image(kTestImage);
  RETURN_IF_ERROR(client.PullImage(pull).status());
  return std::unique_ptr<Runtime>(
      std::make_unique<BerthRuntime>(std::move(place), std::move(stand_ins), std::move(daemon), program));
}

}  // namespace berth
