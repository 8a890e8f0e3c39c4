// What a runtime handler of the configuration stands for.
#ifndef BERTH_CORE_POD_HANDLER_H_
#define BERTH_CORE_POD_HANDLER_H_

#include <map>
#include <string>

#include "core/plugin/oci_executor.h"
#include "core/plugin/snapshotter.h"

namespace berth {

// Pointers outlive every pod. Immutable after start-up.
struct Handler {
  std::string name;
  OciExecutor* executor = nullptr;
  std::string snapshotter_name;
  Snapshotter* snapshotter = nullptr;

  // Pods with a user namespace: the rootfs is id-mapped by the snapshotter with the pod's supervisor, which has to be
  // the one that mounts. What the executor itself can map does not matter.
  bool user_namespaces() const {
    return (executor->capabilities() & kSupervised) != 0 && (snapshotter->capabilities() & kIdMapped) != 0;
  }
};

struct Handlers {
  std::string default_name;
  std::map<std::string, Handler> by_name;

  // "" is the default handler. nullptr for an unknown name.
  const Handler* Find(const std::string& name) const {
    const auto found = by_name.find(name.empty() ? default_name : name);
    return found == by_name.end() ? nullptr : &found->second;
  }
};

}  // namespace berth

#endif  // BERTH_CORE_POD_HANDLER_H_
