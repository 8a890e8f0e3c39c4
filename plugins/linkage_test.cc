// What every shipped plugin is as a file: one exported symbol, no library but libc and what it is for.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <set>
#include <sstream>

#include "core/base/subprocess.h"
#include "core/plugin/loader.h"

namespace berth {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> Plugins() {
  std::vector<std::string> out;
  for (const auto& entry :
       fs::recursive_directory_iterator("plugins", fs::directory_options::follow_directory_symlink)) {
    if (entry.path().extension() == ".so") out.push_back(entry.path());
  }
  return out;
}

// Lines of what binutils print.
std::vector<std::string> Lines(std::vector<std::string> argv) {
  Command command;
  command.argv = std::move(argv);
  command.env = {"LC_ALL=C"};
  const auto result = RunCommand(command);
  EXPECT_TRUE(result.ok() && result->wait_status == 0) << result.status();
  std::vector<std::string> out;
  if (!result.ok()) return out;
  std::istringstream text(result->out);
  for (std::string line; std::getline(text, line);) out.push_back(line);
  return out;
}

TEST(LinkageTest, ThereArePlugins) { EXPECT_GE(Plugins().size(), 5u); }

TEST(LinkageTest, TheLoaderTakesThem) {
  for (const std::string& plugin : Plugins()) {
    const auto module = LoadModule(fs::absolute(plugin), geteuid());
    ASSERT_TRUE(module.ok()) << module.status();
    EXPECT_EQ(module->name + ".so", fs::path(plugin).filename());
  }
}

TEST(LinkageTest, OneSymbolIsExported) {
  for (const std::string& plugin : Plugins()) {
    const auto lines = Lines({"/usr/bin/nm", "-D", "--defined-only", plugin});
    ASSERT_EQ(lines.size(), 1u) << plugin;
    EXPECT_EQ(lines[0].substr(lines[0].rfind(' ') + 1), "berth_module_v0") << plugin;
  }
}

TEST(LinkageTest, NothingButLibcIsNeeded) {
  const std::set<std::string> libc = {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"};
  // Shared libraries of the distribution that a plugin may need beside it.
  const std::map<std::string, std::set<std::string>> exempt = {{"registry_oci.so", {"libcurl.so.4"}}};
  for (const std::string& plugin : Plugins()) {
    std::set<std::string> allowed = libc;
    if (const auto more = exempt.find(fs::path(plugin).filename()); more != exempt.end()) {
      allowed.insert(more->second.begin(), more->second.end());
    }
    for (const std::string& line : Lines({"/usr/bin/readelf", "-d", plugin})) {
      if (line.find("(NEEDED)") == std::string::npos) continue;
      if (line.find("san.so") != std::string::npos) continue;  // a sanitizer's run time
      const size_t begin = line.find('[') + 1;
      EXPECT_EQ(allowed.count(line.substr(begin, line.find(']') - begin)), 1u) << plugin << ":" << line;
    }
  }
}

}  // namespace
}  // namespace berth
