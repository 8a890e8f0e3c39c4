#include "tools/load/load_options.h"

#include "absl/strings/str_cat.h"

namespace berth {

cri::PodSandboxConfig LoadPod(const LoadOptions& options, const std::string& name) {
  cri::PodSandboxConfig config;
  config.mutable_metadata()->set_name(name);
  config.mutable_metadata()->set_namespace_("load");
  config.mutable_metadata()->set_uid("uid-" + name);
  config.set_hostname(name);
  config.set_log_directory(absl::StrCat(options.logs, "/", name));
  config.mutable_linux()->set_cgroup_parent(options.cgroup_parent);
  config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(cri::CONTAINER);
  return config;
}

cri::ContainerConfig LoadContainer(const LoadOptions& options, const std::string& name, const std::string& script) {
  cri::ContainerConfig config;
  config.mutable_metadata()->set_name(name);
  config.mutable_image()->set_image(options.image);
  for (const char* word : {"/bin/sh", "-c"}) config.add_command(word);
  config.add_command(script);
  config.set_log_path(name + ".log");
  config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(cri::CONTAINER);
  return config;
}

std::string LoadLogPath(const cri::PodSandboxConfig& pod, const std::string& container) {
  return absl::StrCat(pod.log_directory(), "/", container, ".log");
}

}  // namespace berth
