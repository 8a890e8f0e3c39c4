#include "core/oci/digest.h"

#include <gtest/gtest.h>

#include <string>

namespace berth {
namespace {

constexpr char kEmpty[] = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

TEST(Digest, ParsesWhatItPrints) {
  const auto digest = Digest::Parse(kEmpty);
  ASSERT_TRUE(digest.ok()) << digest.status();
  EXPECT_EQ(digest->ToString(), kEmpty);
  EXPECT_EQ(digest->hex(), std::string(kEmpty).substr(7));
  EXPECT_EQ(digest->algorithm(), Digest::Algorithm::kSha256);
  EXPECT_EQ(Digest::Of(""), *digest);
  const auto longer = Digest::Parse("sha512:" + std::string(128, 'a'));
  ASSERT_TRUE(longer.ok()) << longer.status();
  EXPECT_EQ(longer->algorithm(), Digest::Algorithm::kSha512);
}

TEST(Digest, RefusesEverythingElse) {
  const std::string good = kEmpty;
  for (const std::string& bad :
       {std::string(), std::string("sha256:"), std::string("sha256"), good.substr(1), good + "0",
        good.substr(0, good.size() - 1), "SHA256:" + good.substr(7), "sha256:" + std::string(64, 'A'),
        "sha256:" + std::string(64, 'g'), "sha256:../../" + std::string(58, 'a'), "md5:" + std::string(32, 'a'),
        "sha512:" + std::string(64, 'a'), "sha256:" + std::string(63, 'a') + '\0', std::string(1 << 20, 'x')}) {
    const auto digest = Digest::Parse(bad);
    EXPECT_EQ(digest.status().code(), absl::StatusCode::kInvalidArgument) << bad.substr(0, 100);
    EXPECT_LT(digest.status().message().size(), 1000u);
  }
}

TEST(DigestHasher, HashesInPieces) {
  DigestHasher hasher;
  hasher.Update("ab");
  hasher.Update("");
  hasher.Update("c");
  EXPECT_EQ(hasher.Finish().ToString(), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hasher.Finish().ToString(), kEmpty);  // started anew
  DigestHasher wide(Digest::Algorithm::kSha512);
  wide.Update("abc");
  EXPECT_EQ(wide.Finish().hex().substr(0, 16), "ddaf35a193617aba");
}

TEST(ChainIds, FollowTheSpecification) {
  const Digest a = Digest::Of("a"), b = Digest::Of("b"), c = Digest::Of("c");
  const std::vector<Digest> chain = ChainIds({a, b, c});
  ASSERT_EQ(chain.size(), 3u);
  EXPECT_EQ(chain[0], a);
  EXPECT_EQ(chain[1], Digest::Of(a.ToString() + " " + b.ToString()));
  EXPECT_EQ(chain[2], Digest::Of(chain[1].ToString() + " " + c.ToString()));
  EXPECT_TRUE(ChainIds({}).empty());
}

}  // namespace
}  // namespace berth
