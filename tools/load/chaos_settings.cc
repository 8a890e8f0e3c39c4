#include "tools/load/chaos_settings.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "tools/image/oci_layout.h"
#include "tools/integration/isolation.h"

namespace berth {
namespace {

constexpr char kTransientImage[] = "example.org/test/transient:1";

}  // namespace

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  uint64_t value = 0;
  if (text == nullptr) return otherwise;
  EXPECT_TRUE(absl::SimpleAtoi(text, &value)) << name << " is no number: " << text;
  return value;
}

absl::Status AddTransientImage(const Place& place) {
  ImageSettings settings;
  settings.reference = kTransientImage;
  std::vector<std::string> layers;
  for (int i = 0; i < 3; ++i) {
    ASSIGN_OR_RETURN(std::string tar, MakeTar({{LayerEntry::Type::kFile, absl::StrCat("file", i),
                                                std::string(200'000, static_cast<char>('a' + i)), 0644},
                                               {LayerEntry::Type::kDirectory, absl::StrCat("dir", i), "", 0755}}));
    layers.push_back(std::move(tar));
  }
  return AddImage(place.images() + "/transient", settings, layers).status();
}

LoadOptions LoadOptionsFor(const Place& place, uint64_t seed) {
  LoadOptions options;
  options.socket = place.socket();
  options.logs = place.logs();
  options.cgroup_parent = "/" + TheWorld().tag + "/pods";
  options.image = kTestImage;
  options.transient_image = kTransientImage;
  options.seed = seed;
  return options;
}

}  // namespace berth
