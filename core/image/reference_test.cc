#include "core/image/reference.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace berth {
namespace {

const std::string kHex(64, 'a');
const std::string kDigest = "sha256:" + kHex;

std::string Normalised(const std::string& text) {
  auto reference = ParseImageReference(text);
  return reference.ok() ? reference->Normalised() : "error";
}

TEST(Reference, FamiliarNamesGetTheirFullForm) {
  EXPECT_EQ(Normalised("busybox"), "docker.io/library/busybox:latest");
  EXPECT_EQ(Normalised("busybox:1.36"), "docker.io/library/busybox:1.36");
  EXPECT_EQ(Normalised("team/app"), "docker.io/team/app:latest");
  EXPECT_EQ(Normalised("docker.io/busybox"), "docker.io/library/busybox:latest");
  EXPECT_EQ(Normalised("index.docker.io/busybox:x"), "docker.io/library/busybox:x");
  EXPECT_EQ(Normalised("localhost/app"), "localhost/app:latest");
  EXPECT_EQ(Normalised("localhost:5000/app"), "localhost:5000/app:latest");
  EXPECT_EQ(Normalised("localhost:5000"), "docker.io/library/localhost:5000");
  EXPECT_EQ(Normalised("registry.k8s.io/pause:3.9"), "registry.k8s.io/pause:3.9");
  EXPECT_EQ(Normalised("[fd00::1]:5000/a/b/c:t"), "[fd00::1]:5000/a/b/c:t");
  EXPECT_EQ(Normalised("[::1]/a"), "[::1]/a:latest");
  EXPECT_EQ(Normalised("Host/app"), "Host/app:latest");
  EXPECT_EQ(Normalised("a--b/c__d/e.f_g"), "docker.io/a--b/c__d/e.f_g:latest");
}

TEST(Reference, ADigestDecidesAndTheTagBesideItIsKept) {
  auto reference = ParseImageReference("busybox:1@" + kDigest);
  ASSERT_TRUE(reference.ok()) << reference.status();
  EXPECT_EQ(reference->Normalised(), "docker.io/library/busybox@" + kDigest);
  EXPECT_EQ(reference->Tagged(), "docker.io/library/busybox:1");
  EXPECT_EQ(reference->Repository(), "docker.io/library/busybox");
  reference = ParseImageReference("busybox@" + kDigest);
  ASSERT_TRUE(reference.ok());
  EXPECT_EQ(reference->tag, "");
  EXPECT_EQ(reference->Tagged(), "");
}

TEST(Reference, MalformedOnesSayWhy) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "empty"},
      {"Busybox", "lower case"},
      {"a//b", "empty path component"},
      {"/a", "empty path component"},
      {"a/", "empty path component"},
      {"a:", "tag"},
      {"a:-x", "tag"},
      {"a:" + std::string(129, 't'), "tag"},
      {"a@", "digest"},
      {"a@sha256:" + std::string(63, 'a'), "digest"},
      {"a@sha256:" + std::string(64, 'A'), "digest"},
      {"a@md5:" + std::string(32, 'a'), "digest"},
      {"a@" + kDigest + "@" + kDigest, "digest"},
      {kHex, "image id"},
      {"a...b", "repository"},
      {"a_-b", "repository"},
      {"../../etc/passwd", "host"},
      {"a/../b", "repository"},
      {"host.x:port/a", "host"},
      {"-h.x/a", "host"},
      {"[::1/a", "host"},
      {"localhost:5000/", "repository"},
      {std::string("a\0b", 3), "repository"},
      {"a b", "repository"},
      {"b\xc3\xa4r", "repository"},
      {std::string(256, 'a'), "longer than 255"},
      {std::string(5000, 'a'), "longer than 4096"},
  };
  for (const auto& [text, why] : cases) {
    auto reference = ParseImageReference(text);
    ASSERT_FALSE(reference.ok()) << text;
    EXPECT_TRUE(absl::IsInvalidArgument(reference.status()));
    EXPECT_TRUE(absl::StrContains(reference.status().message(), why)) << text << ": " << reference.status();
  }
}

TEST(Reference, WhatIsNormalisedStaysTheSame) {
  for (const std::string& text : std::vector<std::string>{"busybox", "localhost:5000/a:b", "a/b@" + kDigest}) {
    const std::string once = Normalised(text);
    EXPECT_EQ(Normalised(once), once);
  }
}

}  // namespace
}  // namespace berth
