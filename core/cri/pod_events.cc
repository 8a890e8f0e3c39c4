#include "core/cri/pod_events.h"

#include "core/base/clock.h"
#include "core/cri/to_cri.h"

namespace berth {
namespace {

cri::ContainerEventType TypeOf(EventType type) {
  switch (type) {
    case EventType::kStarted:
      return cri::CONTAINER_STARTED_EVENT;
    case EventType::kStopped:
      return cri::CONTAINER_STOPPED_EVENT;
    case EventType::kDeleted:
      return cri::CONTAINER_DELETED_EVENT;
    default:
      return cri::CONTAINER_CREATED_EVENT;
  }
}

}  // namespace

void AddContainerStatuses(const Containers& containers, const Images& images, const std::string& pod_id,
                          google::protobuf::RepeatedPtrField<cri::ContainerStatus>* out) {
  for (const auto& container : containers.OfPod(pod_id)) {
    const auto view = container->view();
    const ImagePtr image = images.Status(view->record.image_id());
    ToCri(*view, image.get(), out->Add());
  }
}

void PodEvents::PodChanged(const std::shared_ptr<Pod>& pod, EventType type) const {
  Publish(Topic::kPod, type, pod->id(), *pod);
}

void PodEvents::ContainerChanged(const std::shared_ptr<Container>& container, EventType type) const {
  Publish(Topic::kContainer, type, container->id(), *container->pod());
}

void PodEvents::Publish(Topic topic, EventType type, const std::string& id, const Pod& pod) const {
  if (!bus_->HasListeners(topic)) return;
  Event event;
  // Taken before the state is looked at: the state is never older than the time says.
  event.at_unix_ns = UnixNanos();
  event.topic = topic;
  event.type = type;
  event.id = id;
  cri::ContainerEventResponse message;
  message.set_container_id(id);
  message.set_container_event_type(TypeOf(type));
  message.set_created_at(event.at_unix_ns);
  ToCri(*pod.view(), message.mutable_pod_sandbox_status());
  AddContainerStatuses(*containers_, *images_, pod.id(), message.mutable_containers_statuses());
  event.payload = message.SerializeAsString();
  bus_->Publish(std::move(event));
}

}  // namespace berth
