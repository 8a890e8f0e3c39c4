// What a container in a user namespace is given from outside: binds that its executor, acting as the pod's root, can
// reach and that carry the pod's ids.
#ifndef BERTH_CORE_CONTAINER_BESIDE_MOUNTS_H_
#define BERTH_CORE_CONTAINER_BESIDE_MOUNTS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/supervisor/client.h"

namespace berth {

// Mounts sources beside a container's rootfs, in its private clone of the mount namespace: BUNDLE/volumes/0, 1, ...
// There nothing on the way is closed to the pod's root, and no executor has to know id-mapped mounts.
class BesideMounts {
 public:
  // `bundle` exists. `mounts` outlives this: each Add appends to it.
  BesideMounts(std::string bundle, std::vector<RootfsMount>* mounts) : bundle_(std::move(bundle)), mounts_(mounts) {}

  // Makes the place for `source`, a directory or any file, and answers its path: what the runtime spec names instead.
  // `id_mapped`: through the pod's user namespace; on a file system that cannot, the container is not made.
  // `options` gets what the source is mounted with and the pod's root may not take away (mount_namespaces(7)): an
  // executor that changes the mount at all has to name it.
  absl::StatusOr<std::string> Add(const std::string& source, bool id_mapped, std::vector<std::string>* options);

 private:
  const std::string bundle_;
  std::vector<RootfsMount>* const mounts_;
  int next_ = 0;
};

}  // namespace berth

#endif  // BERTH_CORE_CONTAINER_BESIDE_MOUNTS_H_
