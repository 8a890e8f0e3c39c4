// What every image registry must do. In a test of the plugin's own, with the .so among its `data`:
//
//   INSTANTIATE_TEST_SUITE_P(Mine, RegistrySuite, testing::Values(RegistryUnderTest{
//       "plugins/mine/mine.so", &MakeImageAndConfig, "example.org/image:tag", "example.org/image:missing"}));
#ifndef BERTH_CORE_PLUGIN_CONFORMANCE_REGISTRY_SUITE_H_
#define BERTH_CORE_PLUGIN_CONFORMANCE_REGISTRY_SUITE_H_

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "core/plugin/conformance/plugin_under_test.h"
#include "core/plugin/image_registry.h"
#include "gtest/gtest.h"

namespace berth {

struct RegistryUnderTest {
  std::string so;
  ConfigMaker config;     // makes, below its directory, what serves `reference`
  std::string reference;  // of an image with a layer of at least 100 bytes
  std::string missing;    // one that is not served
  bool lists = true;      // it can name what it serves
};
inline void PrintTo(const RegistryUnderTest& test, std::ostream* out) { *out << test.so; }

class RegistrySuite : public testing::TestWithParam<RegistryUnderTest> {
 protected:
  RegistrySuite();
  void SetUp() override;

  RegistryRequest Request(const std::string& reference = GetParam().reference) const;
  absl::StatusOr<std::string> Fetch(const ContentDescriptor& what, uint64_t offset = 0, uint64_t length = UINT64_MAX);
  // Config and layers of the image, found from what the reference resolves to.
  std::vector<ContentDescriptor> Blobs();

  PluginUnderTest plugin_;
  std::unique_ptr<ImageRegistry> registry_;
};

}  // namespace berth

#endif  // BERTH_CORE_PLUGIN_CONFORMANCE_REGISTRY_SUITE_H_
