// Changes of pods and containers, told on the event bus as the messages of GetContainerEvents.
#ifndef BERTH_CORE_CRI_POD_EVENTS_H_
#define BERTH_CORE_CRI_POD_EVENTS_H_

#include <memory>

#include "core/bus/event_bus.h"
#include "core/container/containers.h"
#include "core/image/images.h"
#include "core/pod/pod.h"
#include "proto/cri/v1/api.pb.h"

namespace berth {

// Each event carries the state of the pod and of all its containers after the change, also the one that tells of a
// removal: the kubelet drops events without. Called on the pod's queue, which makes the order per pod the causal one.
class PodEvents {
 public:
  PodEvents(EventBus* bus, const Images* images) : bus_(bus), images_(images) {}

  // Before the first change. Separate, because Containers is made with a function that calls this.
  void SetContainers(const Containers* containers) { containers_ = containers; }

  // What PodEnvironment::changed and ContainerEnvironment::changed are set to.
  void PodChanged(const std::shared_ptr<Pod>& pod, EventType type) const;
  void ContainerChanged(const std::shared_ptr<Container>& container, EventType type) const;

 private:
  void Publish(Topic topic, EventType type, const std::string& id, const Pod& pod) const;

  EventBus* const bus_;
  const Images* const images_;
  const Containers* containers_ = nullptr;
};

// The statuses of all containers of a pod, in the order of their ids.
void AddContainerStatuses(const Containers& containers, const Images& images, const std::string& pod_id,
                          google::protobuf::RepeatedPtrField<runtime::v1::ContainerStatus>* out);

}  // namespace berth

#endif  // BERTH_CORE_CRI_POD_EVENTS_H_
