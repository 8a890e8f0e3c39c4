#include "plugins/registry_layout/image_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::registry_layout {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string Full(std::string_view text) {
  const auto name = ParseImageName(text);
  return name ? name->Full() : "";
}

TEST(ImageNames, NormalForm) {
  EXPECT_EQ(Full("busybox"), "docker.io/library/busybox:latest");
  EXPECT_EQ(Full("busybox:1.36"), "docker.io/library/busybox:1.36");
  EXPECT_EQ(Full("user/app:2"), "docker.io/user/app:2");
  EXPECT_EQ(Full("docker.io/busybox"), "docker.io/library/busybox:latest");
  EXPECT_EQ(Full("index.docker.io/library/busybox"), "docker.io/library/busybox:latest");
  EXPECT_EQ(Full("localhost/test"), "localhost/test:latest");
  EXPECT_EQ(Full("localhost:5000/a/b:c"), "localhost:5000/a/b:c");
  EXPECT_EQ(Full("registry.k8s.io/pause:3.9@sha256:" + std::string(64, 'a')), "registry.k8s.io/pause:3.9");
  for (const char* bad : {"", ":", "/", "a:", "A", "a//b", "a/../b", "a b", "a@b", "-a", "a-", "a:b:c", "a:-b"}) {
    EXPECT_EQ(Full(bad), "") << bad;
  }
  EXPECT_EQ(Full(std::string(5000, 'a')), "");
}

TEST(ImageNames, TheRules) {
  EXPECT_THAT(ImageNames({"quay.io/a/b:1", "", {}, true}, "x"), ElementsAre("quay.io/a/b:1"));
  EXPECT_THAT(ImageNames({"busybox:1.36", "", {}, true}, "x"), ElementsAre("docker.io/library/busybox:1.36"));
  EXPECT_THAT(ImageNames({"1.36", "", {}, true}, "busybox"), ElementsAre("docker.io/library/busybox:1.36"));
  EXPECT_THAT(ImageNames({"1.36", "", {}, true}, "quay.io/a/b"), ElementsAre("quay.io/a/b:1.36"));
  EXPECT_THAT(ImageNames({"1.36", "", {}, true}, "busybox:old"), ElementsAre("docker.io/library/busybox:1.36"));
  EXPECT_THAT(ImageNames({"busybox", "", {}, true}, "Not A Name"), ElementsAre("docker.io/library/busybox:latest"));
  EXPECT_THAT(ImageNames({"latest", "docker.io/library/app:latest", {}, true}, "x"),
              ElementsAre("docker.io/library/app:latest"));
  EXPECT_THAT(ImageNames({"", "", {"a:1", "b:2", "a:1"}, true}, "x"),
              ElementsAre("docker.io/library/a:1", "docker.io/library/b:2"));
  EXPECT_THAT(ImageNames({"", "", {}, true}, "localhost/test"), ElementsAre("localhost/test:latest"));
  EXPECT_THAT(ImageNames({"", "", {}, false}, "localhost/test"), IsEmpty());
  EXPECT_THAT(ImageNames({"", "", {}, true}, "Not A Name"), IsEmpty());
  EXPECT_THAT(ImageNames({"bad tag!", "", {"also bad!"}, true}, "x"), IsEmpty());
}

}  // namespace
}  // namespace berth::registry_layout
