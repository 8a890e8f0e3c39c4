#include "core/plugin/conformance/plugin_under_test.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>

#include <cstring>
#include <filesystem>

namespace berth {

ScratchDirectory::ScratchDirectory() : path_(testing::TempDir() + "/conformance-XXXXXX") {
  if (mkdtemp(path_.data()) == nullptr) {
    ADD_FAILURE() << "make a directory " << path_ << ": " << strerror(errno);
  }
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
  EXPECT_FALSE(error) << "remove " << path_ << ": " << error.message();
}

PluginUnderTest::PluginUnderTest(const std::string& so, SupervisorService* supervisor) {
  signal(SIGPIPE, SIG_IGN);  // as the daemon does
  const std::filesystem::path file = std::filesystem::absolute(so);
  name_ = file.stem();
  HostServices services;
  services.root = scratch() + "/lib";
  services.state = scratch() + "/run";
  std::filesystem::create_directories(services.root);
  std::filesystem::create_directories(services.state);
  services.bus = &bus_;
  services.metrics = &metrics_;
  services.supervisor = supervisor;
  plugins_ = std::make_unique<Plugins>(std::vector<std::string>{file.parent_path()}, services);
}

void ExpectUnknownKeyReported(PluginUnderTest& plugin, const ConfigMaker& config,
                              const std::function<absl::Status(const ConfigValue::Table&)>& make) {
  ConfigValue::Table table = config(plugin.scratch());
  ASSERT_TRUE(make(table).ok());
  EXPECT_TRUE(plugin.plugins().UnknownKeys().empty()) << plugin.plugins().UnknownKeys()[0];
  table["no_such_key"].value = int64_t{1};
  ASSERT_TRUE(make(table).ok()) << make(table);
  ASSERT_FALSE(plugin.plugins().UnknownKeys().empty());
  EXPECT_EQ(plugin.plugins().UnknownKeys().back(), plugin.name() + ": unknown key no_such_key");
}

}  // namespace berth
