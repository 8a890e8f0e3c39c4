// The plugin's .so through the loader, as a directory and as each kind of archive.
#include "core/plugin/conformance/registry_suite.h"
#include "plugins/registry_layout/test_layouts.h"

namespace berth {
namespace {

namespace rl = registry_layout;

constexpr char kSo[] = "plugins/registry_layout/registry_layout.so";
constexpr char kNamed[] = R"("org.opencontainers.image.ref.name":"example.org/image:tag")";

std::string Layer() { return std::string(300, 'a') + std::string(300, 'b'); }

ConfigValue::Table Configured(const std::string& directory) {
  ConfigValue::Table config;
  config["directories"].value = ConfigValue::Array{ConfigValue{directory}};
  return config;
}

ConfigValue::Table MakeDirectory(const std::string& directory) {
  rl::WriteFiles(directory + "/image", rl::OciLayoutFiles(Layer(), kNamed));
  return Configured(directory);
}

ConfigValue::Table MakeOciArchive(const std::string& directory) {
  rl::WriteFile(directory + "/image.tar", rl::TarOf(rl::OciLayoutFiles(Layer(), kNamed)));
  return Configured(directory);
}

ConfigValue::Table MakeDockerArchive(const std::string& directory) {
  rl::WriteFile(directory + "/image.tar", rl::DockerArchive(Layer(), R"("example.org/image:tag")", true));
  return Configured(directory);
}

RegistryUnderTest Make(ConfigMaker config) {
  return {kSo, std::move(config), "example.org/image:tag", "example.org/image:missing"};
}

INSTANTIATE_TEST_SUITE_P(Directory, RegistrySuite, testing::Values(Make(&MakeDirectory)));
INSTANTIATE_TEST_SUITE_P(OciArchive, RegistrySuite, testing::Values(Make(&MakeOciArchive)));
INSTANTIATE_TEST_SUITE_P(DockerArchive, RegistrySuite, testing::Values(Make(&MakeDockerArchive)));

}  // namespace
}  // namespace berth
