// The node's images: pulled once, shared by all, removed when nobody uses them.
//
// Records live in memory; readers get immutable objects and never wait for a pull. What is on disk is described by the
// store's images, layers and intents; the layers' trees are kept by snapshotters. There may be several: an image is
// unpacked for each that its pull asks for, and has the same id and names with all of them.
//
// A layer that has lost files, as after a power cut, is found by a walk over its tree after each boot: behind the
// start, and before it is used first. It is removed with the images that need it; their next pull brings them back
// whole.
#ifndef BERTH_CORE_IMAGE_IMAGES_H_
#define BERTH_CORE_IMAGE_IMAGES_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/bus/event_bus.h"
#include "core/image/image_record.h"
#include "core/image/worker_process.h"
#include "core/oci/platform.h"
#include "core/plugin/call.h"
#include "core/plugin/image_registry.h"
#include "core/plugin/snapshotter.h"
#include "core/store/store.h"

namespace berth {

using oci::HostPlatform;

struct ImagesOptions {
  std::map<std::string, Snapshotter*> snapshotters;  // by name, as in the rows; outlive Images
  Store* store = nullptr;                            // outlives Images
  EventBus* bus = nullptr;       // may be null; Topic::kImage, kCreated and kDeleted with the image's id
  WorkerLauncher launch_worker;  // starts a pull worker: LaunchWorkerProcess() but in tests
  std::vector<std::string> plugin_directories;
  std::vector<RegistryInstance> registries;  // asked in this order
  std::string root = "/var/lib/berth";       // for the registry plugins: HostServices
  std::string state = "/run/berth";
  oci::Platform platform = HostPlatform();  // what is pulled out of an index
  std::string boot_id;                      // of this boot: BootId()
  // References that are reported as pinned (the kubelet's garbage collection leaves them), e.g. a pause image.
  std::vector<std::string> pinned;
  uint64_t max_layer_bytes = uint64_t{64} << 30;  // of one unpacked layer
  uint32_t max_parallel_layers = 4;
  int64_t timeout_ns = 3600'000'000'000;          // of one pull
  int64_t progress_timeout_ns = 300'000'000'000;  // without one more byte
};

struct ImagePullRequest {
  std::string reference;  // as the client wrote it
  RegistryCredentials credentials;
  std::map<std::string, std::string> annotations;
  std::string runtime_handler;
  std::vector<std::string> snapshotters;  // names: it is unpacked for each of them
};

struct ImageFsUsage {
  std::string mountpoint;  // the snapshotter's root
  uint64_t bytes = 0, inodes = 0;
  int64_t at_unix_ns = 0;
};

// Thread-safe. Blocking calls are marked; all others answer from memory.
class Images {
 public:
  // Reads the records. Nothing is pulled, removed or swept before Recover.
  static absl::StatusOr<std::unique_ptr<Images>> Open(ImagesOptions options);
  // Cancels pulls under way and waits for them.
  ~Images();
  Images(const Images&) = delete;
  Images& operator=(const Images&) = delete;

  // Once, after every existing container has pinned its image: finishes removals, and removes whatever the snapshotter
  // holds that is neither a layer nor one of `container_keys` (snapshots of containers). Blocks. After a boot the
  // layers are looked at from then on, behind the answers.
  absl::Status Recover(const Call& call, const std::set<std::string>& container_keys);

  // Pulls, unpacks, records; answers the image id once all of it would survive a power cut. Equal requests (reference,
  // credentials, annotations, handler, snapshotters) at the same time share one pull; it is given up when the last
  // caller has cancelled. Blocks. Errors: kInvalidArgument (reference, or a damaged or hostile image), kNotFound,
  // kPermissionDenied, kResourceExhausted (disk), kUnknown with "RegistryUnavailable: ..." when no registry could be
  // reached (the kubelet looks for this word), kCancelled, kDeadlineExceeded.
  absl::StatusOr<std::string> Pull(const Call& call, const ImagePullRequest& request);

  // All images, in the order of their ids. A filter is what Status takes; "" means all; no match is an empty list.
  std::vector<ImagePtr> List(absl::string_view filter = {}) const;

  // By id ("sha256:HEX" or HEX), unique prefix of an id, tag, or digest reference. Null when there is none, also for a
  // reference that is none.
  ImagePtr Status(absl::string_view image) const;

  // Forgets the image that `image` names (as in Status) with all its tags and digests. OK when there is none. It is
  // gone from List and Status at once, durably; layers follow unless another image or a pin holds them. Blocks.
  absl::Status Remove(const Call& call, absl::string_view image);

  // `owner` (a container's id) uses the image that `image` names (as in Status): its layers stay until Unpin, also when
  // the image is removed. kNotFound when there is none; by the full id, removed images that are still pinned are found,
  // too, and so are those that Recover has not dropped yet. An owner may pin several images.
  absl::StatusOr<ImagePtr> Pin(absl::string_view owner, absl::string_view image);
  // Drops all pins of `owner`. OK for an unknown one. Blocks when layers of a removed image become free.
  void Unpin(absl::string_view owner);

  // The snapshot keys of the image's layers in this snapshotter, nearest first: SnapshotRequest.parents. Also for a
  // removed image that is pinned. Blocks after a boot, until each of these layers was looked at once. kNotFound for an
  // unknown id, and for an image that was found damaged just now; kFailedPrecondition for an image that was not
  // unpacked for this snapshotter.
  absl::StatusOr<std::vector<std::string>> ChainKeys(absl::string_view image_id, const std::string& snapshotter) const;

  // Of all layers there are: one for each snapshotter.
  std::vector<ImageFsUsage> FsInfo() const;

 private:
  class Pulls;
  struct State;
  explicit Images(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace berth

#endif  // BERTH_CORE_IMAGE_IMAGES_H_
