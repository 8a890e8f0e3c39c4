#include "core/oci/image_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "core/oci/json.h"

namespace berth::oci {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kDigestA = "sha256:" + std::string(64, 'a');
const std::string kDigestB = "sha256:" + std::string(64, 'b');

std::string DescriptorText(const std::string& type, const std::string& digest, const std::string& more = "") {
  return R"({"mediaType":")" + type + R"(","digest":")" + digest + R"(","size":7)" + more + "}";
}

std::string ManifestText(const std::string& more = "") {
  return R"({"schemaVersion":2,"config":)" + DescriptorText(kMediaTypeConfig, kDigestA) + R"(,"layers":[)" +
         DescriptorText("application/vnd.oci.image.layer.v1.tar+gzip", kDigestB) + "]" + more + "}";
}

std::string PlatformText(const std::string& os, const std::string& arch, const std::string& variant = "") {
  return R"(,"platform":{"os":")" + os + R"(","architecture":")" + arch + R"(","variant":")" + variant + R"("})";
}

std::string IndexText(const std::string& manifests) { return R"({"schemaVersion":2,"manifests":[)" + manifests + "]}"; }

TEST(Manifest, IsRead) {
  const auto manifest = ParseManifest(ManifestText(R"(,"annotations":{"a":"b"},"unknown":[1,{"x":null}])"));
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->config.digest.ToString(), kDigestA);
  ASSERT_EQ(manifest->layers.size(), 1u);
  EXPECT_EQ(manifest->layers[0].size, 7u);
  EXPECT_EQ(manifest->annotations.at("a"), "b");
}

TEST(Manifest, SaysWhatIsWrong) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "parse image manifest"},
      {"[]", "manifest: is array"},
      {"{", "parse image manifest"},
      {R"({"schemaVersion":1})", "manifest.schemaVersion"},
      {R"({"schemaVersion":2})", "manifest.config: is missing"},
      {R"({"schemaVersion":2,"config":{}})", "manifest.config.digest"},
      {R"({"schemaVersion":2,"config":5})", "manifest.config: is number"},
      {R"({"schemaVersion":2,"config":{"digest":")" + kDigestA + R"("}})", "manifest.config.size"},
      {R"({"schemaVersion":2,"config":{"size":-1,"digest":")" + kDigestA + R"("}})", "manifest.config.size"},
      {R"({"schemaVersion":2,"config":{"size":1e3,"digest":")" + kDigestA + R"("}})", "manifest.config.size"},
      {ManifestText(R"(,"layers":"x")"), "manifest.layers: is string"},
      {ManifestText(R"(,"layers":[null])"), "manifest.layers[0]: is null"},
      {ManifestText(R"(,"manifests":[])"), "must not be an index as well"},
      {ManifestText(R"(,"mediaType":"application/vnd.oci.image.index.v1+json")"), "manifest.mediaType"},
      {"\xff", "parse image manifest"},
      {std::string(5 << 20, ' '), "more than the 4194304 allowed"},
      {std::string(1000, '['), "nested deeper"},
  };
  for (const auto& [text, message] : cases) {
    const auto manifest = ParseManifest(text);
    EXPECT_EQ(manifest.status().code(), absl::StatusCode::kInvalidArgument) << text.substr(0, 100);
    EXPECT_THAT(std::string(manifest.status().message()), HasSubstr(message));
  }
  const auto served = ParseManifest(ManifestText(std::string(R"(,"mediaType":")") + kMediaTypeManifest + "\""),
                                    kMediaTypeDockerManifest);
  EXPECT_THAT(std::string(served.status().message()), HasSubstr("was served as"));
}

TEST(Manifest, LayersAreBounded) {
  std::string layers;
  for (int i = 0; i < 1025; ++i) layers += (i ? "," : "") + DescriptorText("t", kDigestB);
  const auto manifest = ParseManifest(R"({"schemaVersion":2,"config":)" + DescriptorText("t", kDigestA) +
                                      R"(,"layers":[)" + layers + "]}");
  EXPECT_EQ(manifest.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Manifest, EmbeddedDataHasItsSize) {
  const std::string good = DescriptorText("t", kDigestA, R"(,"data":"YWJjZGVmZw==")");  // 7 bytes
  const auto manifest = ParseManifest(R"({"schemaVersion":2,"config":)" + good + "}");
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->config.data, "abcdefg");
  for (const char* bad : {R"(,"data":"YWJj")", R"(,"data":"*")"}) {
    EXPECT_FALSE(ParseManifest(R"({"schemaVersion":2,"config":)" + DescriptorText("t", kDigestA, bad) + "}").ok());
  }
}

TEST(ImageConfig, IsRead) {
  const auto image = ParseImageConfig(R"({"os":"linux","architecture":"amd64","created":"2026-01-01T00:00:00Z",
      "config":{"User":"1000:www","Env":["A=b"],"Entrypoint":["/bin/sh"],"Cmd":null,"WorkingDir":"/srv",
                "Volumes":{"/data":{}},"ExposedPorts":{"80/tcp":{}},"Labels":{"l":"v"},"StopSignal":"SIGQUIT",
                "Healthcheck":{"Test":["NONE"]}},
      "rootfs":{"type":"layers","diff_ids":[")" +
                                      kDigestA + R"("]},"history":[{"created_by":"x"}]})");
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->platform.ToString(), "linux/amd64");
  EXPECT_EQ(image->config.user, "1000:www");
  EXPECT_THAT(image->config.env, ElementsAre("A=b"));
  EXPECT_THAT(image->config.entrypoint, ElementsAre("/bin/sh"));
  EXPECT_TRUE(image->config.cmd.empty());
  EXPECT_THAT(image->config.volumes, ElementsAre("/data"));
  EXPECT_THAT(image->config.exposed_ports, ElementsAre("80/tcp"));
  EXPECT_EQ(image->config.stop_signal, "SIGQUIT");
  EXPECT_EQ(image->diff_ids.size(), 1u);
}

TEST(ImageConfig, RefusesWrongTypes) {
  for (const char* bad : {R"({"config":[]})", R"({"config":{"Env":"A=b"}})", R"({"config":{"Env":[1]}})",
                          R"({"config":{"Volumes":["/x"]}})", R"({"config":{"Labels":{"a":1}}})",
                          R"({"rootfs":{"diff_ids":["sha256:1"]}})", R"({"os":1})"}) {
    EXPECT_EQ(ParseImageConfig(bad).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_TRUE(ParseImageConfig("{}").ok());
}

TEST(KindOfDocument, GoesByTypeThenByMembers) {
  EXPECT_EQ(KindOfDocument(ManifestText()).value(), DocumentKind::kManifest);
  EXPECT_EQ(KindOfDocument(IndexText("")).value(), DocumentKind::kIndex);
  EXPECT_EQ(KindOfDocument(std::string(R"({"mediaType":")") + kMediaTypeDockerList + "\"}").value(),
            DocumentKind::kIndex);
  EXPECT_FALSE(KindOfDocument("{}").ok());
  EXPECT_FALSE(KindOfDocument(R"({"manifests":[],"layers":[]})").ok());
  EXPECT_FALSE(KindOfDocument(R"({"mediaType":"text/html"})").ok());
}

TEST(SelectPlatform, TakesTheBestThatRuns) {
  const std::string m = kMediaTypeManifest;
  const auto index = ParseIndex(
      IndexText(DescriptorText(m, kDigestA, PlatformText("linux", "amd64")) + "," +
                DescriptorText(m, kDigestB, PlatformText("linux", "amd64", "v3")) + "," +
                DescriptorText(m, "sha256:" + std::string(64, 'c'), PlatformText("linux", "arm64", "v8")) + "," +
                DescriptorText(m, "sha256:" + std::string(64, 'd'), PlatformText("unknown", "unknown"))));
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_EQ(SelectPlatform(*index, {"linux", "amd64", "v2", ""})->digest.ToString(), kDigestA);
  EXPECT_EQ(SelectPlatform(*index, {"linux", "amd64", "v4", ""})->digest.ToString(), kDigestB);
  EXPECT_EQ(SelectPlatform(*index, {"linux", "arm64", "v8", ""})->digest.hex()[0], 'c');
  EXPECT_EQ(SelectPlatform(*index, {"linux", "arm64", "", ""})->digest.hex()[0], 'c');
  const auto none = SelectPlatform(*index, {"linux", "s390x", "", ""});
  EXPECT_EQ(none.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(none.status().message()), HasSubstr("linux/arm64/v8"));
  EXPECT_GE(PlatformRank(HostPlatform(), HostPlatform()), 0);
}

TEST(SelectPlatform, PassesOverArtefacts) {
  const std::string m = kMediaTypeManifest;
  const auto index = ParseIndex(
      IndexText(DescriptorText(m, kDigestA, R"(,"annotations":{"vnd.docker.reference.type":"attestation-manifest"})") +
                "," + DescriptorText(m, kDigestA, R"(,"artifactType":"application/x")") + "," +
                DescriptorText("application/x-signature", kDigestA) + "," + DescriptorText(m, kDigestB)));
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_EQ(SelectPlatform(*index, HostPlatform())->digest.ToString(), kDigestB);
}

TEST(LayerCompression, KnowsTheTypes) {
  EXPECT_EQ(LayerCompression("application/vnd.oci.image.layer.v1.tar").value(), Compression::kNone);
  EXPECT_EQ(LayerCompression("application/vnd.docker.image.rootfs.diff.tar.gzip").value(), Compression::kGzip);
  EXPECT_EQ(LayerCompression("application/vnd.oci.image.layer.v1.tar+zstd").value(), Compression::kZstd);
  EXPECT_THAT(std::string(LayerCompression("application/vnd.oci.image.layer.v1.tar+gzip+encrypted").status().message()),
              HasSubstr("encrypted"));
  EXPECT_EQ(LayerCompression("").status().code(), absl::StatusCode::kUnimplemented);
}

TEST(CheckImage, CountsLayersAndComparesSystems) {
  const Manifest manifest = ParseManifest(ManifestText()).value();
  ImageConfig config{.platform = {"linux", "amd64", "", ""}, .diff_ids = {Digest::Of("x")}};
  const Platform host{"linux", "amd64", "v2", ""};
  EXPECT_TRUE(CheckImage(manifest, config, host).ok());
  config.platform.architecture = "arm64";
  EXPECT_EQ(CheckImage(manifest, config, host).code(), absl::StatusCode::kFailedPrecondition);
  config.diff_ids.clear();
  EXPECT_EQ(CheckImage(manifest, config, host).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace berth::oci
