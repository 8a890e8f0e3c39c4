// What a load is made against, and how.
#ifndef BERTH_TOOLS_LOAD_LOAD_OPTIONS_H_
#define BERTH_TOOLS_LOAD_LOAD_OPTIONS_H_

#include <cstdint>
#include <string>

#include "core/cri/client/cri_client.h"

namespace berth {

struct LoadOptions {
  std::string socket;
  std::string logs;             // an existing directory: the pods' log directories are made in it
  std::string cgroup_parent;    // of the pods
  std::string image;            // is on the node and has a shell
  std::string transient_image;  // is pulled and removed meanwhile; "": no pulls
  int clients = 8;
  uint64_t seed = 1;
  // The daemon is killed meanwhile: what it leaves unanswered is asked again. false: then it is a fault.
  bool may_be_interrupted = true;
};

// A pod named after its client, and a container in it that runs a script in the image's shell.
cri::PodSandboxConfig LoadPod(const LoadOptions& options, const std::string& name);
cri::ContainerConfig LoadContainer(const LoadOptions& options, const std::string& name, const std::string& script);
// Where that container's log is.
std::string LoadLogPath(const cri::PodSandboxConfig& pod, const std::string& container);

}  // namespace berth

#endif  // BERTH_TOOLS_LOAD_LOAD_OPTIONS_H_
