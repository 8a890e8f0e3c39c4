// Berth's own AppArmor profile, in the kernel.
#ifndef BERTH_CORE_CONTAINER_APPARMOR_DEFAULT_H_
#define BERTH_CORE_CONTAINER_APPARMOR_DEFAULT_H_

#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "core/oci/apparmor.h"
#include "core/plugin/call.h"

namespace berth {

// Thread-safe.
class AppArmorDefault {
 public:
  // `parsers`: where apparmor_parser may be; the first that is there is run.
  explicit AppArmorDefault(oci::AppArmorPlaces places = {},
                           std::vector<std::string> parsers = {"/usr/sbin/apparmor_parser", "/sbin/apparmor_parser"})
      : places_(std::move(places)), parsers_(std::move(parsers)) {}

  // Sees to it that the profile kDefaultAppArmorProfile is loaded. The first time it replaces what an earlier Berth may
  // have loaded; later it loads what somebody has removed. Does nothing where AppArmor is off, and where there is no
  // apparmor_parser, which is logged once. Blocks until the parser has ended.
  absl::Status Load(const Call& call);

 private:
  const oci::AppArmorPlaces places_;
  const std::vector<std::string> parsers_;
  std::mutex mutex_;  // guards what is below
  bool loaded_ = false, told_ = false;
};

}  // namespace berth

#endif  // BERTH_CORE_CONTAINER_APPARMOR_DEFAULT_H_
