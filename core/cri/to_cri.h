// What is known of pods, containers and images, in CRI's messages. Pure functions.
#ifndef BERTH_CORE_CRI_TO_CRI_H_
#define BERTH_CORE_CRI_TO_CRI_H_

#include "core/container/container.h"
#include "core/image/images.h"
#include "core/pod/pod.h"
#include "proto/cri/v1/api.pb.h"

namespace berth {

namespace cri = ::runtime::v1;

cri::PodSandboxState StateOf(const PodView& view);
cri::ContainerState StateOf(const ContainerView& view);

void ToCri(const PodView& view, cri::PodSandbox* out);
void ToCri(const PodView& view, cri::PodSandboxStatus* out);

void ToCri(const ContainerView& view, cri::Container* out);
// `image` is the container's, null when it was removed meanwhile: then the status names what CreateContainer asked for.
void ToCri(const ContainerView& view, const ImageRecord* image, cri::ContainerStatus* out);

void ToCri(const ImageRecord& image, cri::Image* out);

}  // namespace berth

#endif  // BERTH_CORE_CRI_TO_CRI_H_
