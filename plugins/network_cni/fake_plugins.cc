#include "plugins/network_cni/fake_plugins.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/base/subprocess.h"

namespace berth::network_cni {
namespace {

void WriteFile(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

}  // namespace

FakePlugins::FakePlugins() {
  signal(SIGPIPE, SIG_IGN);  // as the daemon does: a plugin may end before it has read its input
  const char* base = getenv("TEST_TMPDIR");
  dir_ = std::string(base != nullptr ? base : "/tmp") + "/cniXXXXXX";
  if (mkdtemp(dir_.data()) == nullptr) abort();
  for (const char* sub : {"/conf", "/bin"}) mkdir((dir_ + sub).c_str(), 0700);
}

FakePlugins::~FakePlugins() { std::filesystem::remove_all(dir_); }

void FakePlugins::WriteConfig(const std::string& name, const std::string& text) const {
  WriteFile(dir_ + "/conf/" + name, text);
}

void FakePlugins::AddPlugin(const std::string& type, const std::string& body) const {
  const std::string path = dir_ + "/bin/" + type;
  const std::string base = dir_ + "/" + type + ".$CNI_COMMAND";
  WriteFile(path, "#!/bin/sh\nif [ \"$CNI_COMMAND\" = VERSION ]; then\n  echo x >> " + dir_ + "/" + type +
                      ".VERSIONS; cat \"$0.versions\" 2>/dev/null; exit 0\nfi\ncat > " + base + ".in\nenv > " + base +
                      ".env\necho \"$CNI_COMMAND " + type + " $CNI_IFNAME $CNI_NETNS\" >> " + dir_ + "/log\n" + body +
                      "\n");
  chmod(path.c_str(), 0755);
}

void FakePlugins::AddGoodPlugin(const std::string& type, const std::string& ip) const {
  AddPlugin(type,
            R"([ "$CNI_COMMAND" = ADD ] && echo '{"cniVersion":"1.0.0","ips":[{"address":")" + ip + R"("}]}'; exit 0)");
}

void FakePlugins::SetVersions(const std::string& type, const std::string& answer) const {
  WriteFile(dir_ + "/bin/" + type + ".versions", answer);
}

std::vector<std::string> FakePlugins::TakeLog() const {
  std::vector<std::string> lines;
  std::istringstream text(Read("log"));
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  unlink((dir_ + "/log").c_str());
  return lines;
}

std::string FakePlugins::Read(const std::string& name) const {
  std::ostringstream out;
  out << std::ifstream(dir_ + "/" + name).rdbuf();
  return out.str();
}

CniNetwork::Options FakePlugins::Options() {
  CniNetwork::Options options;
  options.conf_dir = dir_ + "/conf";
  options.bin_dirs = {dir_ + "/missing", dir_ + "/bin"};
  options.cache_dir = dir_ + "/cache/deep";
  options.timeout_ns = 1'000'000'000;
  options.spawn = RealSpawn();
  options.look = nullptr;
  options.warn = [this](const std::string& text) { warnings.push_back(text); };
  return options;
}

Spawn RealSpawn() {
  return [](const sdk::Call& call, const sdk::Command& command) -> sdk::Result<sdk::CommandResult> {
    berth::Command real;
    real.argv = command.argv;
    real.env = command.env;
    real.input = command.input;
    real.deadline_ns = call.deadline_ns;
    real.cancel_fd = call.cancel_fd;
    real.output_limit = command.output_limit;
    const auto result = RunCommand(real);
    if (!result.ok()) {
      return sdk::Status(static_cast<sdk::Code>(result.status().code()), std::string(result.status().message()));
    }
    return sdk::CommandResult{result->wait_status, result->out, result->err, result->truncated};
  };
}

sdk::PodNetwork TestPod(const std::string& id, const std::string& netns) {
  sdk::PodNetwork pod;
  pod.pod_id = id;
  pod.name = "web-0";
  pod.name_space = "shop";
  pod.uid = "0f9c8b3a-1111-2222-3333-444455556666";
  pod.netns_path = netns;
  return pod;
}

}  // namespace berth::network_cni
