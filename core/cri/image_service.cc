#include "core/cri/image_service.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/clock.h"
#include "core/base/unique_fd.h"
#include "core/cri/message_json.h"
#include "core/cri/stream_call.h"
#include "core/cri/to_cri.h"
#include "core/cri/unary_call.h"

namespace berth {
namespace {

// Longer names than any registry serves (host 255, repository 255, tag 128, digest 135), with room.
constexpr size_t kMostImageBytes = 4096;
constexpr size_t kMostImageCallsWaiting = 512;

absl::Status CheckSpec(const cri::ImageSpec& spec, absl::string_view what) {
  if (spec.image().empty()) return absl::InvalidArgumentError(absl::StrCat(what, ": the image spec names no image"));
  if (spec.image().size() > kMostImageBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, ": the image's name has ", spec.image().size(), " bytes, more than ", kMostImageBytes));
  }
  return absl::OkStatus();
}

// A pull that its caller can give up. At a hand-over the successor begins it anew: half-made layers are undone here.
class PullCall : public MovableCall {
 public:
  using MovableCall::MovableCall;

  int cancel_fd() const { return cancelled_.get(); }
  void OnCancel() override { eventfd_write(cancelled_.get(), 1); }
  // The answer first: the pull that is given up would have another.
  void End(const grpc::Status& status) override {
    UnaryCall::End(status);
    OnCancel();
  }
  void Move(const std::shared_ptr<OpenCall>& self) override {
    MovableCall::Move(self);
    OnCancel();
  }

 private:
  const UniqueFd cancelled_{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
};

// Those that a container can be made with from now on: the handler's; of every handler when the client says none, since
// the kubelet says it only behind a feature gate.
std::vector<std::string> SnapshottersFor(const Handlers& handlers, const std::string& handler) {
  if (!handler.empty()) return {handlers.Find(handler)->snapshotter_name};
  std::set<std::string> names;
  for (const auto& [name, each] : handlers.by_name) names.insert(each.snapshotter_name);
  return {names.begin(), names.end()};
}

ImagePullRequest PullRequestOf(const cri::PullImageRequest& request) {
  ImagePullRequest pull;
  pull.reference = request.image().image();
  pull.annotations.insert(request.image().annotations().begin(), request.image().annotations().end());
  pull.runtime_handler = request.image().runtime_handler();
  const cri::AuthConfig& auth = request.auth();
  pull.credentials = {auth.username(),       auth.password(),       auth.auth(),
                      auth.server_address(), auth.identity_token(), auth.registry_token()};
  return pull;
}

std::string ImageInfo(const ImageRecord& image) {
  return DumpForClients({{"chainID", image.chain_ids.empty() ? "" : image.chain_ids.back()},
                         {"imageSpec", ParsedOrText(image.config)},
                         {"manifest", ParsedOrText(image.manifest)},
                         {"manifestDigest", image.manifest_digest},
                         {"manifestMediaType", image.manifest_media_type},
                         {"pulledAt", image.created_at}});
}

}  // namespace

grpc::ServerUnaryReactor* CriImageService::ListImages(Context*, const cri::ListImagesRequest* request,
                                                      cri::ListImagesResponse* response) {
  auto call = UnaryCall::Start(env_.calls);
  call->Answer(absl::OkStatus(), [&] {
    for (const ImagePtr& image : env_.images->List(request->filter().image().image())) {
      ToCri(*image, response->add_images());
    }
  });
  return call.get();
}

grpc::ServerWriteReactor<cri::StreamImagesResponse>* CriImageService::StreamImages(
    Context* context, const cri::StreamImagesRequest* request) {
  const CallGate::Entry entry = env_.gate->Enter();
  if (entry.by_successor()) {
    return env_.relay->Stream<cri::StreamImagesRequest, cri::StreamImagesResponse>(
        "/runtime.v1.ImageService/StreamImages", context, *request, env_.calls, OpenCalls::Length::kFinite);
  }
  return StreamList<cri::StreamImagesResponse>(
      context, env_.calls, absl::OkStatus(), env_.images->List(request->filter().image().image()),
      [](const ImageRecord& image, cri::StreamImagesResponse* out) { ToCri(image, out->add_images()); });
}

grpc::ServerUnaryReactor* CriImageService::ImageStatus(Context*, const cri::ImageStatusRequest* request,
                                                       cri::ImageStatusResponse* response) {
  auto call = UnaryCall::Start(env_.calls);
  call->Answer(CheckSpec(request->image(), "image status"), [&] {
    const ImagePtr image = env_.images->Status(request->image().image());
    if (image == nullptr) return;  // OK without an image says that there is none
    // For this handler there is none, and it is to be pulled for it.
    const Handler* handler = env_.handlers->Find(request->image().runtime_handler());
    if (!request->image().runtime_handler().empty() && handler != nullptr &&
        std::find(image->snapshotters.begin(), image->snapshotters.end(), handler->snapshotter_name) ==
            image->snapshotters.end()) {
      return;
    }
    ToCri(*image, response->mutable_image());
    if (request->verbose()) (*response->mutable_info())["info"] = ImageInfo(*image);
  });
  return call.get();
}

grpc::ServerUnaryReactor* CriImageService::PullImage(Context* context, const cri::PullImageRequest* request,
                                                     cri::PullImageResponse* response) {
  auto call = UnaryCall::Start<PullCall>(env_.calls);
  call->OnMove([this, context, response, again = *request](auto moved) {
    env_.relay->Unary("/runtime.v1.ImageService/PullImage", context, again, response, moved);
  });
  absl::Status bad = CheckSpec(request->image(), "pull image");
  const std::string& handler = request->image().runtime_handler();
  if (bad.ok() && env_.handlers->Find(handler) == nullptr) {
    bad = absl::InvalidArgumentError(absl::StrCat("pull image: there is no runtime handler \"", handler, "\""));
  }
  if (bad.ok() && call->cancel_fd() < 0) bad = absl::ResourceExhaustedError("pull image: no descriptor is left");
  if (!bad.ok()) {
    call->Answer(bad);
    return call.get();
  }
  ImagePullRequest pull = PullRequestOf(*request);
  pull.snapshotters = SnapshottersFor(*env_.handlers, handler);
  const Task work = [this, call, response, pull = std::move(pull)] {
    Call cancellable;
    cancellable.cancel_fd = call->cancel_fd();
    const auto id = env_.images->Pull(cancellable, pull);
    call->Answer(id.status(), [&] { response->set_image_ref(*id); });
  };
  if (!env_.image_pool->TryAdd(work, kMostImageCallsWaiting)) {
    call->Answer(absl::ResourceExhaustedError(
        absl::StrCat("pull image: ", kMostImageCallsWaiting, " pulls and removals wait already; try again later")));
  }
  return call.get();
}

grpc::ServerUnaryReactor* CriImageService::RemoveImage(Context*, const cri::RemoveImageRequest* request,
                                                       cri::RemoveImageResponse*) {
  auto call = UnaryCall::Start(env_.calls);
  if (absl::Status bad = CheckSpec(request->image(), "remove image"); !bad.ok()) {
    call->Answer(bad);
    return call.get();
  }
  env_.image_pool->Add(
      [this, call, image = request->image().image()] { call->Answer(env_.images->Remove(Call(), image)); });
  return call.get();
}

grpc::ServerUnaryReactor* CriImageService::ImageFsInfo(Context*, const cri::ImageFsInfoRequest*,
                                                       cri::ImageFsInfoResponse* response) {
  auto call = UnaryCall::Start(env_.calls);
  call->Answer(absl::OkStatus(), [&] {
    // A snapshotter keeps layers and what containers write: the same file system in both roles.
    for (const ImageFsUsage& usage : env_.images->FsInfo()) {
      for (cri::FilesystemUsage* out : {response->add_image_filesystems(), response->add_container_filesystems()}) {
        out->set_timestamp(usage.at_unix_ns);
        out->mutable_fs_id()->set_mountpoint(usage.mountpoint);
        out->mutable_used_bytes()->set_value(usage.bytes);
        out->mutable_inodes_used()->set_value(usage.inodes);
      }
    }
  });
  return call.get();
}

}  // namespace berth
