// What the CRI services answer from.
#ifndef BERTH_CORE_CRI_ENVIRONMENT_H_
#define BERTH_CORE_CRI_ENVIRONMENT_H_

#include <string>

#include "core/base/work_queue.h"
#include "core/bus/event_bus.h"
#include "core/config/config.h"
#include "core/container/containers.h"
#include "core/cri/call_gate.h"
#include "core/cri/guarded_service.h"
#include "core/cri/open_calls.h"
#include "core/cri/relay.h"
#include "core/cri/request_budget.h"
#include "core/image/images.h"
#include "core/pod/handler.h"
#include "core/pod/pod_network.h"
#include "core/pod/pods.h"

namespace berth {

// All pointers outlive the services and every call that is open.
struct CriEnvironment {
  const Config* config = nullptr;
  std::string version;  // of this build
  Pods* pods = nullptr;
  Containers* containers = nullptr;
  Images* images = nullptr;
  const PodNetworks* networks = nullptr;
  const Handlers* handlers = nullptr;
  EventBus* bus = nullptr;
  ThreadPool* pool = nullptr;        // for answers that read a file or ask a plugin
  ThreadPool* image_pool = nullptr;  // for pulls and removals, which last: nothing else waits behind them
  OpenCalls* calls = nullptr;        // the same that the server drains
  RequestBudget* budget = nullptr;   // of both services together
  CallGate* gate = nullptr;          // of both
  Relay* relay = nullptr;            // to the successor, once the gate says so
};

inline CallRoute RouteOf(const CriEnvironment& environment) {
  return {environment.calls, environment.budget, environment.gate, environment.relay};
}

}  // namespace berth

#endif  // BERTH_CORE_CRI_ENVIRONMENT_H_
