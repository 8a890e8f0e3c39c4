// What a daemon is made of, and the steps in which it is made.
#ifndef BERTH_CORE_DAEMON_PARTS_H_
#define BERTH_CORE_DAEMON_PARTS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "core/base/id.h"
#include "core/base/timer.h"
#include "core/base/work_queue.h"
#include "core/bus/event_bus.h"
#include "core/config/config.h"
#include "core/container/containers.h"
#include "core/cri/call_gate.h"
#include "core/cri/image_service.h"
#include "core/cri/open_calls.h"
#include "core/cri/pod_events.h"
#include "core/cri/relay.h"
#include "core/cri/runtime_service.h"
#include "core/cri/server.h"
#include "core/daemon/plugin_set.h"
#include "core/image/images.h"
#include "core/oci/selinux_policy.h"
#include "core/pod/pods.h"
#include "core/store/store.h"
#include "core/supervisor/starter.h"

namespace berth {

// Executors are made before the pods whose supervisors run their commands.
class LateSupervisorService : public SupervisorService {
 public:
  void Set(SupervisorService* service) { service_ = service; }
  absl::StatusOr<SupervisedResult> Run(const Call& call, const SupervisedCommand& command) override {
    if (service_ == nullptr) return absl::UnavailableError("run in a pod: the daemon is still starting");
    return service_->Run(call, command);
  }

 private:
  SupervisorService* service_ = nullptr;
};

// In the order of making; members die in the reverse.
struct DaemonParts {
  Config config;
  std::string version, boot_id;
  uint64_t descriptor_limit = 0;
  std::unique_ptr<Store> store;
  std::unique_ptr<IdSource> ids;
  EventBus bus;
  PluginMetrics metrics;
  CgroupTree cgroups;
  std::optional<oci::SelinuxContexts> selinux;
  LateSupervisorService supervisor_service;
  std::unique_ptr<Plugins> plugins;
  PluginSet set;
  std::unique_ptr<PodNetworks> networks;
  std::unique_ptr<SupervisorLoop> loop;
  std::unique_ptr<SupervisorStarter> starter;
  std::unique_ptr<Images> images;
  std::unique_ptr<ThreadPool> pool, exec_pool, image_pool;
  std::unique_ptr<TimerQueue> timers;
  std::unique_ptr<Pods> pods;
  std::unique_ptr<Containers> containers;
  std::unique_ptr<PodEvents> events;
  OpenCalls calls;
  RequestBudget budget;
  CallGate gate;
  std::unique_ptr<Relay> relay;
  std::unique_ptr<CriRuntimeService> runtime_service;
  std::unique_ptr<CriImageService> image_service;
  std::unique_ptr<CriServer> server;

  // Each is called once, in this order.
  // All that touches no state of an earlier daemon, which may still be at work: the plugins are loaded here.
  absl::Status Prepare();
  absl::Status OpenStore();
  absl::Status MakeRuntime();
  // So many events are kept of what happens before a client can listen.
  absl::Status Recover(size_t events_kept, BacklogFor events_for);
  // `listener`: of a socket that is there already, or -1; taken. `kept`: somebody else holds the socket, too.
  // Connections wait until server->Accept().
  absl::Status MakeServer(int listener, bool kept);

 private:
  absl::Status ReadSelinux();
};

}  // namespace berth

#endif  // BERTH_CORE_DAEMON_PARTS_H_
