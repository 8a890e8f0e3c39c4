#include "plugins/registry_layout/layout_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "core/base/subprocess.h"
#include "plugins/json/bounded_json.h"
#include "plugins/registry_layout/tar_writer.h"
#include "plugins/registry_layout/test_layouts.h"

namespace berth::registry_layout {
namespace {

using sdk::Code;
using sdk::ContentDescriptor;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kNamed[] = R"("org.opencontainers.image.ref.name":"quay.io/a/b:1")";
const std::string kLayer(5000, 'L');

struct Fixture {
  TestDirectory dir;
  std::vector<std::string> warnings;
  LayoutRegistry registry{{{dir.path()}, false, [this](const std::string& text) { warnings.push_back(text); }}};

  sdk::Result<ContentDescriptor> Resolve(const std::string& reference) {
    sdk::RegistryRequest request;
    request.reference = reference;
    request.platform = {"linux", "amd64", ""};
    return registry.Resolve({}, request);
  }
  sdk::Result<std::string> Fetch(const ContentDescriptor& what, uint64_t offset = 0, uint64_t length = UINT64_MAX) {
    std::string out;
    const sdk::Status status = registry.Fetch({}, {}, what, offset, length, [&](std::string_view data) {
      out += data;
      return sdk::Status();
    });
    if (!status.ok()) return status;
    return out;
  }
  std::vector<std::string> List() {
    std::vector<std::string> out;
    EXPECT_TRUE(registry.List({}, [&](const std::string& name) { out.push_back(name); }).ok());
    return out;
  }
  // Follows the reference to its only layer; "" and a failed test on the way.
  std::string Layer(const std::string& reference) {
    const auto top = Resolve(reference);
    EXPECT_TRUE(top.ok()) << top.status().message();
    if (!top.ok()) return "";
    const auto text = Fetch(*top);
    EXPECT_TRUE(text.ok()) << text.status().message();
    const auto manifest = json::Parse(text.ok() ? *text : "", "manifest", 1 << 20);
    EXPECT_TRUE(manifest.ok());
    if (!manifest.ok()) return "";
    ContentDescriptor d;
    for (const char* part : {"config", "layers"}) {
      const json::Value& v = part == std::string("config") ? (*manifest)["config"] : (*manifest)["layers"][0];
      d.digest = json::StringMember(v, "digest");
      d.size = *json::UintMember(v, "size");
      const auto data = Fetch(d);
      EXPECT_TRUE(data.ok()) << data.status().message();
      EXPECT_EQ("sha256:" + Sha256(data.ok() ? *data : ""), d.digest) << part;
    }
    const auto layer = Fetch(d);
    return layer.ok() ? *layer : "";
  }
};

TEST(LayoutRegistry, ServesADirectory) {
  Fixture f;
  WriteFiles(f.dir.path() + "/deep/er/some", OciLayoutFiles(kLayer, kNamed));
  EXPECT_EQ(f.Layer("quay.io/a/b:1"), kLayer);
  EXPECT_THAT(f.List(), ElementsAre("quay.io/a/b:1"));
  const auto top = f.Resolve("quay.io/a/b:1");
  EXPECT_EQ(top->media_type, "application/vnd.oci.image.manifest.v1+json");
  EXPECT_EQ(f.Resolve("elsewhere.example/x@" + top->digest)->size, top->size) << "by its digest";
  EXPECT_TRUE(f.registry.Ping({}).ok());
}

TEST(LayoutRegistry, ServesAnOciArchive) {
  Fixture f;
  WriteFile(f.dir.path() + "/some.tar", TarOf(OciLayoutFiles(kLayer, kNamed)));
  EXPECT_EQ(f.Layer("quay.io/a/b:1"), kLayer);
}

TEST(LayoutRegistry, ThePathGivesTheRepository) {
  Fixture f;
  WriteFiles(f.dir.path() + "/busybox", OciLayoutFiles(kLayer, R"("org.opencontainers.image.ref.name":"1.36")"));
  WriteFile(f.dir.path() + "/localhost/test.tar", TarOf(OciLayoutFiles("other", "")));
  EXPECT_THAT(f.List(), ElementsAre("docker.io/library/busybox:1.36", "localhost/test:latest"));
  EXPECT_EQ(f.Layer("localhost/test:latest"), "other");
}

TEST(LayoutRegistry, ServesDockerArchives) {
  Fixture f;
  WriteFile(f.dir.path() + "/new.tar", DockerArchive(kLayer, R"("busybox:1.36","localhost/x:y")"));
  WriteFile(f.dir.path() + "/old.tar", DockerArchive("the old layer", R"("old:1")", true));
  WriteFile(f.dir.path() + "/unnamed.tar", DockerArchive("nobody's layer", ""));
  EXPECT_EQ(f.Layer("docker.io/library/busybox:1.36"), kLayer);
  EXPECT_EQ(f.Layer("localhost/x:y"), kLayer);
  EXPECT_EQ(f.Layer("docker.io/library/old:1"), "the old layer");
  EXPECT_EQ(f.Layer("docker.io/library/unnamed:latest"), "nobody's layer");
  const auto top = f.Resolve("localhost/x:y");
  EXPECT_EQ(top->media_type, "application/vnd.docker.distribution.manifest.v2+json");
  EXPECT_EQ(top->digest, "");
  EXPECT_EQ(top->data.size(), top->size);
}

TEST(LayoutRegistry, WhatIsNotThereIsNotFound) {
  Fixture f;
  EXPECT_EQ(f.Resolve("quay.io/a/b:1").status().code(), Code::kNotFound);
  WriteFiles(f.dir.path() + "/x", OciLayoutFiles(kLayer, kNamed));
  EXPECT_EQ(f.Resolve("quay.io/a/b:2").status().code(), Code::kNotFound);
  EXPECT_EQ(f.Resolve("quay.io/a/b@sha256:" + std::string(64, '0')).status().code(), Code::kNotFound);
  ContentDescriptor unknown{"", "sha256:" + std::string(64, '0'), 1, ""};
  EXPECT_EQ(f.Fetch(unknown).status().code(), Code::kNotFound);
}

TEST(LayoutRegistry, SeesWhatChanged) {
  Fixture f;
  const std::string path = f.dir.path() + "/some.tar";
  WriteFile(path, TarOf(OciLayoutFiles(kLayer, kNamed)));
  EXPECT_EQ(f.Layer("quay.io/a/b:1"), kLayer);
  WriteFile(path + ".new", TarOf(OciLayoutFiles("another layer", kNamed)));
  std::filesystem::rename(path + ".new", path);
  EXPECT_EQ(f.Layer("quay.io/a/b:1"), "another layer");
  unlink(path.c_str());
  EXPECT_EQ(f.Resolve("quay.io/a/b:1").status().code(), Code::kNotFound);
}

TEST(LayoutRegistry, AnIndexOfPlatforms) {
  Fixture f;
  Files files = OciLayoutFiles(kLayer, "");
  const auto index = json::Parse(files["index.json"], "index", 1 << 20);
  json::Value inner = *index;
  inner["mediaType"] = "application/vnd.oci.image.index.v1+json";
  const std::string text = json::Dump(inner);
  files["blobs/sha256/" + Sha256(text)] = text;
  files["index.json"] = R"({"manifests":[{"digest":"sha256:)" + Sha256(text) + R"(","size":)" +
                        std::to_string(text.size()) + R"(,"annotations":{)" + kNamed + "}}]}";
  WriteFiles(f.dir.path() + "/x", files);
  const auto top = f.Resolve("quay.io/a/b:1");
  ASSERT_TRUE(top.ok()) << top.status().message();
  EXPECT_EQ(top->media_type, "application/vnd.oci.image.index.v1+json") << "told by its fields";
  const std::string child = json::StringMember(json::ArrayMember(inner, "manifests")[0], "digest");
  const auto by_digest = f.Resolve("quay.io/a/b@" + child);
  ASSERT_TRUE(by_digest.ok()) << by_digest.status().message();
  EXPECT_EQ(by_digest->media_type, "application/vnd.oci.image.manifest.v1+json");
}

TEST(LayoutRegistry, TheBestPlatformOfOneName) {
  Fixture f;
  Files files = OciLayoutFiles(kLayer, kNamed);
  auto index = json::Parse(files["index.json"], "index", 1 << 20);
  json::Value arm = (*index)["manifests"][0], amd = arm;
  arm["platform"] = json::Value{{"os", "linux"}, {"architecture", "arm64"}};
  arm["digest"] = "sha256:" + std::string(64, '0');
  amd["platform"] = json::Value{{"os", "linux"}, {"architecture", "amd64"}};
  (*index)["manifests"] = json::Value::array({arm, amd});
  files["index.json"] = json::Dump(*index);
  WriteFiles(f.dir.path() + "/x", files);
  EXPECT_EQ(f.Layer("quay.io/a/b:1"), kLayer);
}

// ---- what the tools of the trade write

bool RunIn(const std::string& dir, const std::vector<std::string>& argv) {
  Command command;
  command.argv = {"/bin/sh", "-c", R"(cd "$0" && exec "$@")", dir};
  command.argv.insert(command.argv.end(), argv.begin(), argv.end());
  command.env = {"PATH=/usr/bin:/bin", "HOME=" + dir};
  const auto result = RunCommand(command);
  EXPECT_TRUE(result.ok() && result->wait_status == 0) << argv[0] << ": " << (result.ok() ? result->err : "not run");
  return result.ok() && result->wait_status == 0;
}

TEST(LayoutRegistry, ServesWhatUmociAndSkopeoWrite) {
  for (const char* tool : {"/usr/bin/umoci", "/usr/bin/skopeo"}) {
    if (access(tool, X_OK) != 0) GTEST_SKIP() << tool << " is not installed";
  }
  Fixture f;
  const std::string& dir = f.dir.path();
  WriteFile(dir + "/.file", std::string(100000, 'f'));
  std::filesystem::create_directory(dir + "/other");
  const auto skopeo = [&](const std::string& to) {
    return RunIn(dir, {"skopeo", "--insecure-policy", "copy", "-q", "oci:made:1.36", to});
  };
  ASSERT_TRUE(RunIn(dir, {"umoci", "init", "--layout", "made"}) &&
              RunIn(dir, {"umoci", "new", "--image", "made:1.36"}) &&
              RunIn(dir, {"umoci", "insert", "--image", "made:1.36", ".file", "/file"}) &&
              skopeo("docker-archive:docker.tar:some:dock") && skopeo("oci-archive:oci.tar:localhost/a:b") &&
              skopeo("oci:other/layout"));
  EXPECT_THAT(f.List(), ElementsAre("docker.io/library/made:1.36", "docker.io/library/some:dock",
                                    "docker.io/other/layout:latest", "localhost/a:b"));
  for (const std::string& name : f.List()) EXPECT_GT(f.Layer(name).size(), 100u) << name;
  EXPECT_THAT(f.warnings, IsEmpty());
}

// ---- hostile layouts

TEST(LayoutRegistry, OneBadArchiveLeavesTheOthers) {
  Fixture f;
  WriteFile(f.dir.path() + "/a.tar", "garbage, garbage, garbage" + std::string(1000, 'g'));
  WriteFile(f.dir.path() + "/b.tar.gz", "x");
  WriteFile(f.dir.path() + "/c.tar", std::string("\x1f\x8b", 2) + std::string(1000, 'g'));
  WriteFile(f.dir.path() + "/d.tar", TarWriter().Add("readme", "an archive of something else").End());
  WriteFile(f.dir.path() + "/e/oci-layout", R"({"imageLayoutVersion":"9"})");
  WriteFile(f.dir.path() + "/e/index.json", "{}");
  WriteFile(f.dir.path() + "/.hidden.tar", "still being written");
  WriteFile(f.dir.path() + "/z.tar", TarOf(OciLayoutFiles(kLayer, kNamed)));
  EXPECT_EQ(f.Layer("quay.io/a/b:1"), kLayer);
  EXPECT_THAT(f.warnings, ElementsAre(HasSubstr("/a.tar is not served: tar header at byte 0: its checksum is wrong"),
                                      HasSubstr("/b.tar.gz is not served: compressed"),
                                      HasSubstr("/c.tar is not served: the archive is compressed with gzip"),
                                      HasSubstr("/d.tar is not served: neither an OCI layout"),
                                      HasSubstr("/e is not served: oci-layout: imageLayoutVersion is not 1.x")));
  EXPECT_THAT(f.Resolve("quay.io/a/b:2").status().message(), HasSubstr("a.tar"));
  EXPECT_EQ(f.registry.Ping({}).code(), Code::kFailedPrecondition);
}

TEST(LayoutRegistry, GarbageInIndexJson) {
  for (const std::string& index :
       {std::string("{"), std::string(R"({"manifests":[{"digest":"sha256:../../x","size":1}]})"),
        std::string(R"({"manifests":[{"digest":"sha256:)") + std::string(64, 'a') + R"(","size":-1}]})",
        std::string(R"({"manifests":[7]})"), std::string(5 << 20, ' '), std::string(100000, '[')}) {
    Fixture f;
    Files files = OciLayoutFiles(kLayer, kNamed);
    files["index.json"] = index;
    WriteFiles(f.dir.path() + "/x", files);
    EXPECT_EQ(f.Resolve("quay.io/a/b:1").status().code(), Code::kNotFound);
    EXPECT_EQ(f.warnings.size(), 1u) << index.substr(0, 100);
  }
}

TEST(LayoutRegistry, LiesAboutSizes) {
  Fixture f;
  Files files = OciLayoutFiles(kLayer, kNamed);
  auto index = json::Parse(files["index.json"], "index", 1 << 20);
  (*index)["manifests"][0]["size"] = 100 << 20;
  files["index.json"] = json::Dump(*index);
  WriteFiles(f.dir.path() + "/x", files);
  EXPECT_EQ(f.Resolve("quay.io/a/b:1").status().code(), Code::kResourceExhausted);
  (*index)["manifests"][0]["size"] = 7;
  files["index.json"] = json::Dump(*index);
  WriteFiles(f.dir.path() + "/x", files);
  EXPECT_THAT(f.Resolve("quay.io/a/b:1").status().message(), HasSubstr("bytes, index.json says 7"));
  ContentDescriptor layer{"", "sha256:" + Sha256(kLayer), 4999, ""};
  EXPECT_EQ(f.Fetch(layer).status().code(), Code::kDataLoss);
}

TEST(LayoutRegistry, FollowsNoSymbolicLinks) {
  Fixture f;
  TestDirectory elsewhere;
  WriteFile(elsewhere.path() + "/secret", kLayer);
  WriteFiles(elsewhere.path() + "/layout", OciLayoutFiles(kLayer, R"("org.opencontainers.image.ref.name":"a/b:c")"));
  WriteFiles(f.dir.path() + "/x", OciLayoutFiles(kLayer, kNamed));
  const std::string blob = f.dir.path() + "/x/blobs/sha256/" + Sha256(kLayer);
  unlink(blob.c_str());
  ASSERT_EQ(symlink((elsewhere.path() + "/secret").c_str(), blob.c_str()), 0);
  ASSERT_EQ(symlink((elsewhere.path() + "/layout").c_str(), (f.dir.path() + "/y").c_str()), 0);
  ContentDescriptor layer{"", "sha256:" + Sha256(kLayer), kLayer.size(), ""};
  EXPECT_FALSE(f.Fetch(layer).ok());
  EXPECT_THAT(f.List(), ElementsAre("quay.io/a/b:1"));
  unlink(blob.c_str());
  ASSERT_EQ(mkfifo(blob.c_str(), 0600), 0);
  EXPECT_THAT(f.Fetch(layer).status().message(), HasSubstr("not a regular file"));
}

TEST(LayoutRegistry, LyingDockerArchives) {
  const std::string config = R"({"rootfs":{"diff_ids":["sha256:)" + Sha256("layer") + R"("]}})";
  const std::string name = Sha256(config) + ".json";
  const auto manifest = [&](const std::string& config_name, const std::string& layers) {
    return R"([{"Config":")" + config_name + R"(","RepoTags":["a:1"],"Layers":[)" + layers + "]}]";
  };
  const std::pair<std::string, std::string> cases[] = {
      {manifest(name, R"("a.tar","a.tar")"), "names 2 layers, the configuration 1"},
      {manifest(name, "7"), "not names of files"},
      {manifest(name, R"("../../etc/passwd")"), "leads out of it"},
      {manifest(name, R"("loop")"), "a cycle"},
      {manifest(name, R"("gz.tar")"), "gz.tar is compressed with gzip"},
      {manifest("config.json", R"("a.tar")"), "not named by its sha256"},
      {manifest("none.json", R"("a.tar")"), "no none.json"},
      {"{}", "not an array"},
      {"[7]", "no  in the archive"},
  };
  for (const auto& [text, want] : cases) {
    Fixture f;
    TarWriter tar;
    tar.Add("a.tar", "layer").Add(name, config).Add("config.json", config).Add("gz.tar", "\x1f\x8b...");
    tar.Add("loop", "", '2', "loop").Add("manifest.json", text);
    WriteFile(f.dir.path() + "/x.tar", tar.End());
    EXPECT_EQ(f.Resolve("docker.io/library/a:1").status().code(), Code::kNotFound);
    EXPECT_THAT(f.warnings, ElementsAre(HasSubstr(want))) << text;
  }
}

TEST(LayoutRegistry, ADirectoryNobodyConfiguredMayBeMissing) {
  LayoutRegistry by_default({{"/no/such/directory"}, true, nullptr});
  EXPECT_TRUE(by_default.Ping({}).ok());
  EXPECT_EQ(by_default.Resolve({}, {}).status().code(), Code::kNotFound);
  LayoutRegistry configured({{"/no/such/directory"}, false, nullptr});
  EXPECT_THAT(configured.Ping({}).message(), HasSubstr("/no/such/directory"));
}

}  // namespace
}  // namespace berth::registry_layout
