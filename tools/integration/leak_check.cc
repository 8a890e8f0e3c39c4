#include "tools/integration/leak_check.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <system_error>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "core/base/file.h"
#include "core/supervisor/wire/messages.h"
#include "tools/integration/cgroup_dirs.h"

namespace berth {
namespace {

namespace fs = std::filesystem;
using Snapshot = LeakCheck::Snapshot;

void AddMounts(Snapshot* out) {
  const auto mounts = ReadFile("/proc/self/mounts");
  for (absl::string_view line : absl::StrSplit(mounts.value_or(""), '\n', absl::SkipEmpty())) {
    const std::vector<std::string> fields = absl::StrSplit(line, ' ');
    if (fields.size() > 2) out->insert(absl::StrCat("mount ", fields[2], " on ", fields[1]));
  }
}

void AddInterfaces(Snapshot* out) {
  const auto table = ReadFile("/proc/self/net/dev");
  int line_number = 0;
  for (absl::string_view line : absl::StrSplit(table.value_or(""), '\n', absl::SkipEmpty())) {
    if (++line_number <= 2) continue;
    const std::vector<std::string> parts = absl::StrSplit(line, ':');
    out->insert(absl::StrCat("interface ", absl::StripAsciiWhitespace(parts[0])));
  }
}

// "NAME", or "NAME (zombie)" for one that nobody has waited for.
std::string ProcessName(int pid) {
  const std::string directory = absl::StrCat("/proc/", pid);
  std::string command = ReadFile(directory + "/cmdline").value_or("");
  if (!command.empty())
    return absl::StrReplaceAll(command.substr(0, command.size() - 1), {{absl::string_view("\0", 1), " "}});
  const std::string stat = ReadFile(directory + "/stat").value_or("");
  const size_t open = stat.find('('), close = stat.rfind(')');
  if (open == std::string::npos || close == std::string::npos) return "";
  const bool zombie = absl::StartsWith(absl::string_view(stat).substr(close), ") Z");
  return stat.substr(open + 1, close - open - 1) + (zombie ? " (zombie)" : "");
}

void AddProcesses(pid_t daemon, Snapshot* out) {
  for (const std::string& name : ListDir("/proc").value_or(std::vector<std::string>())) {
    int pid = 0;
    if (!absl::SimpleAtoi(name, &pid) || pid == 1 || pid == getpid() || pid == daemon) continue;
    const std::string process = ProcessName(pid);
    if (!process.empty()) out->insert("process " + process);
  }
}

const char* TypeName(const fs::directory_entry& entry) {
  std::error_code error;
  switch (entry.symlink_status(error).type()) {
    case fs::file_type::directory:
      return "directory";
    case fs::file_type::socket:
      return "socket";
    case fs::file_type::symlink:
      return "link";
    case fs::file_type::fifo:
      return "fifo";
    default:
      return "file";
  }
}

void AddTree(const std::string& tree, Snapshot* out) {
  std::error_code error;
  fs::recursive_directory_iterator it(tree, fs::directory_options::skip_permission_denied, error), end;
  for (; !error && it != end; it.increment(error)) {
    out->insert(absl::StrCat(TypeName(*it), " ", it->path().string()));
  }
}

// Sockets and pipes have numbers for names: only how many there are is comparable.
void AddDescriptors(pid_t pid, Snapshot* out) {
  const std::string directory = absl::StrCat("/proc/", pid, "/fd");
  for (const std::string& fd : ListDir(directory).value_or(std::vector<std::string>())) {
    std::error_code error;
    const std::string target = fs::read_symlink(directory + "/" + fd, error).string();
    if (!error) out->insert("daemon's descriptor " + target.substr(0, target.find(":[")));
  }
}

}  // namespace

Snapshot LeakCheck::Take() const {
  Snapshot out;
  AddMounts(&out);
  AddInterfaces(&out);
  AddProcesses(scope_.daemon, &out);
  for (const std::string& tree : scope_.trees) AddTree(tree, &out);
  for (const std::string& group : CgroupsWith(scope_.cgroup_mark)) out.insert("cgroup " + group);
  if (scope_.daemon != 0) AddDescriptors(scope_.daemon, &out);
  return out;
}

Snapshot LeakCheck::TakeWithSpare(int spares) const {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  for (Snapshot last, now;; last = std::move(now)) {
    now = Take();
    const auto count = std::count_if(now.begin(), now.end(), [](const std::string& what) {
      return what.find(wire::kSpareName) != std::string::npos;
    });
    if ((count == spares && now == last) || std::chrono::steady_clock::now() >= end) return now;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

std::vector<std::string> LeakCheck::Leaks(const Snapshot& before, std::chrono::milliseconds settle) const {
  const auto end = std::chrono::steady_clock::now() + settle;
  for (;;) {
    const Snapshot now = Take();
    std::vector<std::string> leaks;
    std::set_difference(now.begin(), now.end(), before.begin(), before.end(), std::back_inserter(leaks));
    leaks.erase(std::remove_if(leaks.begin(), leaks.end(),
                               [this](const std::string& leak) {
                                 return std::any_of(
                                     scope_.not_leaks.begin(), scope_.not_leaks.end(),
                                     [&](const std::regex& allowed) { return std::regex_match(leak, allowed); });
                               }),
                leaks.end());
    if (leaks.empty() || std::chrono::steady_clock::now() >= end) return leaks;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace berth
