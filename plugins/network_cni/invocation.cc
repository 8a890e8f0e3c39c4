#include "plugins/network_cni/invocation.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace berth::network_cni {
namespace {

using json::Value;
using sdk::Code;
using sdk::Command;
using sdk::CommandResult;
using sdk::Result;
using sdk::Status;

constexpr uint64_t kMaxOutput = 1 << 20;
constexpr size_t kMaxQuoted = 512;

// Output of a plugin for a message: its end, on one line.
std::string Quoted(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  const bool cut = text.size() > kMaxQuoted;
  if (cut) text.remove_prefix(text.size() - kMaxQuoted);
  std::string out = cut ? "\"..." : "\"";
  for (const char c : text) out += static_cast<unsigned char>(c) < ' ' || c == 0x7f ? ' ' : c;
  return out + "\"";
}

std::string WhatItPrinted(const CommandResult& result) {
  if (!result.err.empty()) return ", its standard error: " + Quoted(result.err);
  if (!result.out.empty()) return ", its output: " + Quoted(result.out);
  return ", it printed nothing";
}

// The daemon's environment: plugins look for iptables in PATH. Nothing of CNI's own may leak in.
std::vector<std::string> Environment(const Invocation& run, const std::vector<std::string>& bin_dirs) {
  std::vector<std::string> env;
  bool has_path = false;
  for (char** e = environ; e != nullptr && *e != nullptr; ++e) {
    const std::string_view entry = *e;
    if (entry.starts_with("CNI_")) continue;
    has_path |= entry.starts_with("PATH=");
    env.emplace_back(entry);
  }
  if (!has_path) env.emplace_back("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  std::string path;
  for (const std::string& dir : bin_dirs) path += (path.empty() ? "" : ":") + dir;
  env.push_back("CNI_COMMAND=" + run.command);
  env.push_back("CNI_PATH=" + path);
  if (run.container_id.empty()) return env;  // STATUS and GC are about no container
  env.push_back("CNI_CONTAINERID=" + run.container_id);
  env.push_back("CNI_NETNS=" + run.netns);
  env.push_back("CNI_IFNAME=" + run.ifname);
  env.push_back("CNI_ARGS=" + run.args);
  return env;
}

Code CodeOf(uint64_t cni_code) {
  switch (cni_code) {
    case 1:  // incompatible version
    case 2:  // unsupported field
    case 4:  // invalid environment
    case 7:  // invalid configuration
      return Code::kFailedPrecondition;
    case 11:  // try again later
    case 50:  // not available
    case 51:  // not available, existing containers have limited connectivity
      return Code::kUnavailable;
    default:
      return Code::kInternal;
  }
}

// {"cniVersion", "code", "msg", "details"} of a plugin that failed.
Status Failure(const std::string& what, const CommandResult& result) {
  if (WIFSIGNALED(result.wait_status)) {
    const int signal = WTERMSIG(result.wait_status);
    const char* name = sigabbrev_np(signal);
    return sdk::Internal(what + " was killed by signal " + std::to_string(signal) +
                         (name != nullptr ? std::string(" (SIG") + name + ")" : "") + WhatItPrinted(result));
  }
  const Result<Value> error = json::Parse(result.out, "error", kMaxOutput);
  const std::string message = error.ok() ? json::StringMember(*error, "msg") : "";
  if (message.empty()) {
    return sdk::Internal(what + " exited with status " + std::to_string(WEXITSTATUS(result.wait_status)) +
                         " without a CNI error" + WhatItPrinted(result));
  }
  const uint64_t code = json::UintMember(*error, "code").value_or(999);
  const std::string details = json::StringMember(*error, "details");
  std::string text = what + " failed: " + message;
  if (!details.empty()) text += ": " + details;
  text.resize(std::min<size_t>(text.size(), 4096));
  return Status(CodeOf(code), text + " (CNI code " + std::to_string(code) + ")");
}

}  // namespace

int64_t MonotonicNow() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

Result<std::string> PluginRunner::Find(const std::string& type) const {
  std::string looked;
  for (const std::string& dir : options_.bin_dirs) {
    const std::string path = dir + "/" + type;
    struct stat st {};
    if (stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111) != 0) return path;
    looked += " " + dir;
  }
  return sdk::NotFound("CNI plugin " + type + " is not installed, looked in" + looked);
}

Result<Value> PluginRunner::Run(const sdk::Call& call, const Invocation& invocation) const {
  const std::string type = json::StringMember(invocation.config, "type");
  BERTH_ASSIGN_OR_RETURN(const std::string path, Find(type));
  const std::string what = "CNI plugin " + type + ": " + invocation.command + " for network " + invocation.network;
  sdk::Call bounded = call;
  const int64_t now = MonotonicNow();
  const bool own_deadline = call.deadline_ns - now > options_.timeout_ns;
  if (own_deadline) bounded.deadline_ns = now + options_.timeout_ns;
  Command command;
  command.argv = {path};
  command.env = Environment(invocation, options_.bin_dirs);
  command.input = json::Dump(invocation.config);
  command.output_limit = kMaxOutput;
  const Result<CommandResult> result = options_.spawn(bounded, command);
  if (!result.ok() && result.status().code() == Code::kDeadlineExceeded && own_deadline) {
    return sdk::DeadlineExceeded(what + " did not end within " + std::to_string(options_.timeout_ns / 1'000'000'000) +
                                 " s and was killed: " + result.status().message());
  }
  if (!result.ok()) return sdk::Annotate(result.status(), what);
  if (result->wait_status != 0) return Failure(what, *result);
  if (result->truncated) {
    return sdk::Internal(what + " printed more than " + std::to_string(kMaxOutput) + " bytes");
  }
  if (result->out.find_first_not_of(" \t\r\n") == std::string::npos) return Value();
  Result<Value> out = json::Parse(result->out, "its output", kMaxOutput);
  if (out.ok() || invocation.command != "ADD") return out.ok() ? std::move(out) : Result<Value>(Value());
  return sdk::Internal(what + " did not answer in JSON" + WhatItPrinted(*result));
}

}  // namespace berth::network_cni
