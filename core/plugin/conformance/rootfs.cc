#include "core/plugin/conformance/rootfs.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>

#include "gtest/gtest.h"

namespace berth {
namespace {

constexpr char kCwd[] = "x-berth.cwd=";

struct Options {
  unsigned long flags = 0;
  std::string data, cwd = "/";
};

Options Parse(const RootfsMount& mount) {
  static const std::map<std::string, unsigned long> kFlags = {
      {"bind", MS_BIND},
      {"rbind", MS_BIND | MS_REC},
      {"ro", MS_RDONLY},
      {"rw", 0},
      {"nosuid", MS_NOSUID},
      {"nodev", MS_NODEV},
      {"noexec", MS_NOEXEC},
      {"noatime", MS_NOATIME},
      {"private", 0},
      {"rprivate", 0},
      {"relatime", MS_RELATIME},
  };
  Options out;
  for (const std::string& option : mount.options) {
    if (const auto flag = kFlags.find(option); flag != kFlags.end()) {
      out.flags |= flag->second;
    } else if (option.rfind(kCwd, 0) == 0) {
      out.cwd = option.substr(strlen(kCwd));
    } else {
      out.data += (out.data.empty() ? "" : ",") + option;
    }
  }
  return out;
}

void Mount(const RootfsMount& mount, const std::string& target) {
  const Options o = Parse(mount);
  ASSERT_EQ(chdir(o.cwd.c_str()), 0) << o.cwd << ": " << strerror(errno);
  ASSERT_EQ(::mount(mount.source.c_str(), target.c_str(), mount.type.c_str(), o.flags, o.data.c_str()), 0)
      << mount.type << " " << mount.source << " with " << o.data << ": " << strerror(errno);
  // A bind mount takes its flags in a second step.
  if ((o.flags & MS_BIND) != 0 && (o.flags & MS_RDONLY) != 0) {
    ASSERT_EQ(::mount("", target.c_str(), "", (o.flags & ~MS_REC) | MS_REMOUNT, ""), 0) << strerror(errno);
  }
  ASSERT_EQ(chdir("/"), 0);
}

}  // namespace

void InRootfs(const std::vector<RootfsMount>& mounts, const std::string& rootfs, const std::function<void()>& look) {
  fflush(nullptr);
  const pid_t child = fork();
  ASSERT_GE(child, 0) << strerror(errno);
  if (child == 0) {
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      perror("make a mount namespace");
      _exit(2);
    }
    for (const RootfsMount& m : mounts) Mount(m, rootfs + (m.target.empty() ? "" : "/" + m.target));
    if (!testing::Test::HasFatalFailure()) look();
    fflush(nullptr);
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << "the messages of the child are above";
}

}  // namespace berth
