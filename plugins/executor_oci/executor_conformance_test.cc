// The executor as the daemon loads it, with the runtimes of this machine, through the suite of its kind.
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/plugin/conformance/executor_suite.h"

namespace berth {
namespace {

namespace fs = std::filesystem;

constexpr char kSleeper[] = "plugins/executor_oci/sleeper";  // in the runfiles
constexpr char kProcess[] = R"({"user":{"uid":0,"gid":0},"args":["/bin/sleep","1000"],"cwd":"/"})";

void MakeBundle(const std::string& directory, const std::string& id) {
  for (const char* name : {"/rootfs/bin", "/rootfs/proc", "/rootfs/dev", "/rootfs/sys"}) {
    fs::create_directories(directory + name);
  }
  fs::copy_file(kSleeper, directory + "/rootfs/bin/sleep", fs::copy_options::overwrite_existing);
  std::ofstream(directory + "/config.json")
      << R"({"ociVersion":"1.0.2","process":)" << kProcess
      << R"(,"root":{"path":"rootfs"},"mounts":[{"destination":"/proc","type":"proc","source":"proc"}],)"
      << R"("linux":{"namespaces":[{"type":"pid"},{"type":"mount"}],"cgroupsPath":"/berth-test-)" << id << "\"}}";
}

// Of the group that the bundle names, on either version.
int64_t MemoryLimit(const std::string& id) {
  int64_t limit = -1;
  for (const char* file :
       {"/sys/fs/cgroup/memory/berth-test-ID/memory.limit_in_bytes", "/sys/fs/cgroup/berth-test-ID/memory.max"}) {
    std::string path = file;
    std::ifstream(path.replace(path.find("ID"), 2, id)) >> limit;
  }
  return limit;
}

ExecutorUnderTest Runtime(const std::string& binary) {
  return {"plugins/executor_oci/executor_oci.so",
          [binary](const std::string& directory) {
            ConfigValue::Table config;
            config["binary"].value = binary;
            config["root"].value = directory + "/root";
            return config;
          },
          &MakeBundle, kProcess,
          // crun refuses a machine with both cgroup hierarchies.
          [] { umount2("/sys/fs/cgroup/unified", MNT_DETACH); }, &MemoryLimit};
}

std::vector<ExecutorUnderTest> Runtimes() {
  std::vector<ExecutorUnderTest> out;
  for (const char* binary : {"/usr/bin/crun", "/usr/sbin/runc"}) {
    if (access(binary, X_OK) == 0) out.push_back(Runtime(binary));
  }
  return out;
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ExecutorSuite);
INSTANTIATE_TEST_SUITE_P(Installed, ExecutorSuite, testing::ValuesIn(Runtimes()),
                         [](const auto& info) { return info.index == 0 ? "first" : "second"; });

}  // namespace
}  // namespace berth
