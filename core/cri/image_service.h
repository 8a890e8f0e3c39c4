// runtime.v1.ImageService: thin, check, call, answer.
#ifndef BERTH_CORE_CRI_IMAGE_SERVICE_H_
#define BERTH_CORE_CRI_IMAGE_SERVICE_H_

#include <utility>

#include "core/cri/environment.h"
#include "core/cri/guarded_service.h"
#include "proto/cri/v1/api.grpc.pb.h"

namespace berth {

namespace cri = ::runtime::v1;

// A cancelled PullImage gives that caller's pull up; a RemoveImage that has begun is carried through.
class CriImageService final : public GuardedService<cri::ImageService, CriImageService> {
 public:
  explicit CriImageService(const CriEnvironment& environment)
      : GuardedService(RouteOf(environment)), env_(environment) {
    Guard("ListImages", &CriImageService::ListImages);
    Guard("ImageStatus", &CriImageService::ImageStatus);
    Guard("PullImage", &CriImageService::PullImage);
    Guard("RemoveImage", &CriImageService::RemoveImage);
    Guard("ImageFsInfo", &CriImageService::ImageFsInfo);
  }

  using Context = grpc::CallbackServerContext;
  using Unary = grpc::ServerUnaryReactor;

  Unary* ListImages(Context*, const cri::ListImagesRequest*, cri::ListImagesResponse*) override;
  grpc::ServerWriteReactor<cri::StreamImagesResponse>* StreamImages(Context*, const cri::StreamImagesRequest*) override;
  Unary* ImageStatus(Context*, const cri::ImageStatusRequest*, cri::ImageStatusResponse*) override;
  Unary* PullImage(Context*, const cri::PullImageRequest*, cri::PullImageResponse*) override;
  Unary* RemoveImage(Context*, const cri::RemoveImageRequest*, cri::RemoveImageResponse*) override;
  Unary* ImageFsInfo(Context*, const cri::ImageFsInfoRequest*, cri::ImageFsInfoResponse*) override;

 private:
  const CriEnvironment env_;
};

}  // namespace berth

#endif  // BERTH_CORE_CRI_IMAGE_SERVICE_H_
