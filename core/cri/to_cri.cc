#include "core/cri/to_cri.h"

#include <algorithm>
#include <limits>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "core/container/container_config.h"
#include "core/image/reference.h"

namespace berth {
namespace {

// An image's user as the kubelet checks it: a uid when it is a number, root when there is none, a name otherwise.
void SetUser(absl::string_view user, cri::Image* out) {
  user = user.substr(0, user.find(':'));
  uint32_t uid = 0;
  const bool digits = user.find_first_not_of("0123456789") == absl::string_view::npos;
  if (user.empty() || (digits && absl::SimpleAtoi(user, &uid))) {
    out->mutable_uid()->set_value(uid);
  } else {
    out->set_username(std::string(user));
  }
}

// The name to show for a container's image. The kubelet asks for an id, and people look for the tag they wrote.
std::string ShownName(const cri::ImageSpec& spec, const ImageRecord& image) {
  const std::string& written = spec.user_specified_image().empty() ? spec.image() : spec.user_specified_image();
  if (const auto reference = ParseImageReference(written); reference.ok()) {
    const std::string name = reference->Normalised();
    for (const auto* names : {&image.repo_tags, &image.repo_digests}) {
      if (std::find(names->begin(), names->end(), name) != names->end()) return name;
    }
  }
  if (!image.repo_tags.empty()) return image.repo_tags.front();
  return image.repo_digests.empty() ? spec.image() : image.repo_digests.front();
}

}  // namespace

cri::PodSandboxState StateOf(const PodView& view) {
  return view.record.state() == state::v1::Pod::READY ? cri::SANDBOX_READY : cri::SANDBOX_NOTREADY;
}

cri::ContainerState StateOf(const ContainerView& view) {
  switch (view.record.state()) {
    case state::v1::Container::CREATED:
      return cri::CONTAINER_CREATED;
    case state::v1::Container::RUNNING:
      return cri::CONTAINER_RUNNING;
    case state::v1::Container::EXITED:
      return cri::CONTAINER_EXITED;
    default:
      return cri::CONTAINER_UNKNOWN;
  }
}

void ToCri(const PodView& view, cri::PodSandbox* out) {
  out->set_id(view.record.id());
  *out->mutable_metadata() = view.config->metadata();
  out->set_state(StateOf(view));
  out->set_created_at(view.record.created_at());
  *out->mutable_labels() = view.config->labels();
  *out->mutable_annotations() = view.config->annotations();
  out->set_runtime_handler(view.record.runtime_handler());
}

void ToCri(const PodView& view, cri::PodSandboxStatus* out) {
  out->set_id(view.record.id());
  *out->mutable_metadata() = view.config->metadata();
  out->set_state(StateOf(view));
  out->set_created_at(view.record.created_at());
  *out->mutable_labels() = view.config->labels();
  *out->mutable_annotations() = view.config->annotations();
  out->set_runtime_handler(view.record.runtime_handler());
  *out->mutable_linux()->mutable_namespaces()->mutable_options() =
      view.config->linux().security_context().namespace_options();
  // Present in any case: clients look into it. Addresses that were given back belong to somebody else by now.
  cri::PodSandboxNetworkStatus* network = out->mutable_network();
  if (view.record.network_torn_down()) return;
  for (int i = 0; i < view.record.ips_size(); ++i) {
    if (i == 0) {
      network->set_ip(view.record.ips(0));
    } else {
      network->add_additional_ips()->set_ip(view.record.ips(i));
    }
  }
}

void ToCri(const ContainerView& view, cri::Container* out) {
  out->set_id(view.record.id());
  out->set_pod_sandbox_id(view.record.pod_id());
  *out->mutable_metadata() = view.config->metadata();
  *out->mutable_image() = view.config->image();
  out->set_image_ref(view.record.image_ref());
  out->set_image_id(view.record.image_id());
  out->set_state(StateOf(view));
  out->set_created_at(view.record.created_at());
  *out->mutable_labels() = view.config->labels();
  *out->mutable_annotations() = view.config->annotations();
}

void ToCri(const ContainerView& view, const ImageRecord* image, cri::ContainerStatus* out) {
  const state::v1::Container& record = view.record;
  out->set_id(record.id());
  *out->mutable_metadata() = view.config->metadata();
  out->set_state(StateOf(view));
  out->set_created_at(record.created_at());
  out->set_started_at(record.started_at());
  out->set_finished_at(record.finished_at());
  out->set_exit_code(record.exit_code());
  *out->mutable_image() = view.config->image();
  if (image != nullptr) out->mutable_image()->set_image(ShownName(view.config->image(), *image));
  out->set_image_ref(record.image_ref());
  out->set_image_id(record.image_id());
  out->set_reason(record.reason());
  out->set_message(record.message());
  *out->mutable_labels() = view.config->labels();
  *out->mutable_annotations() = view.config->annotations();
  *out->mutable_mounts() = view.config->mounts();
  out->set_log_path(record.log_path());
  // A row that this build wrote always parses; one it did not leaves the values out.
  if (!out->mutable_resources()->mutable_linux()->ParseFromString(record.resources())) out->clear_resources();
  cri::LinuxContainerUser* user = out->mutable_user()->mutable_linux();
  user->set_uid(record.uid());
  user->set_gid(record.gid());
  *user->mutable_supplemental_groups() = record.supplemental_groups();
  out->set_stop_signal(CriSignal(record.stop_signal()));
}

void ToCri(const ImageRecord& image, cri::Image* out) {
  out->set_id(image.id);
  for (const std::string& tag : image.repo_tags) out->add_repo_tags(tag);
  for (const std::string& digest : image.repo_digests) out->add_repo_digests(digest);
  out->set_size(image.size);
  SetUser(image.user, out);
  out->mutable_spec()->set_image(!image.repo_tags.empty()      ? image.repo_tags.front()
                                 : !image.repo_digests.empty() ? image.repo_digests.front()
                                                               : image.id);
  out->set_pinned(image.pinned);
}

}  // namespace berth
