#include "plugins/registry_layout/test_layouts.h"

#include <openssl/evp.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "plugins/registry_layout/tar_writer.h"

namespace berth::registry_layout {
namespace {

std::string Config(const std::string& layer) {
  return R"({"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:)" + Sha256(layer) +
         R"("]}})";
}

std::string Descriptor(const std::string& type, const std::string& data, const std::string& more = "") {
  return R"({"mediaType":")" + type + R"(","digest":"sha256:)" + Sha256(data) + R"(","size":)" +
         std::to_string(data.size()) + more + "}";
}

}  // namespace

std::string Sha256(const std::string& data) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (EVP_Digest(data.data(), data.size(), digest, &size, EVP_sha256(), nullptr) != 1) abort();
  std::string out;
  for (unsigned int i = 0; i < size; ++i) {
    out += "0123456789abcdef"[digest[i] >> 4];
    out += "0123456789abcdef"[digest[i] & 15];
  }
  return out;
}

Files OciLayoutFiles(const std::string& layer, const std::string& annotations) {
  const std::string config = Config(layer);
  const std::string manifest = R"({"schemaVersion":2,"config":)" +
                               Descriptor("application/vnd.oci.image.config.v1+json", config) + R"(,"layers":[)" +
                               Descriptor("application/vnd.oci.image.layer.v1.tar", layer) + "]}";
  Files files;
  files["oci-layout"] = R"({"imageLayoutVersion":"1.0.0"})";
  files["index.json"] =
      R"({"schemaVersion":2,"manifests":[)" +
      Descriptor("application/vnd.oci.image.manifest.v1+json", manifest, R"(,"annotations":{)" + annotations + "}") +
      "]}";
  for (const std::string* blob : {&layer, &config, &manifest}) files["blobs/sha256/" + Sha256(*blob)] = *blob;
  return files;
}

std::string DockerArchive(const std::string& layer, const std::string& repo_tags, bool linked) {
  const std::string config = Config(layer);
  const std::string config_name = Sha256(config) + ".json", layer_name = Sha256(layer) + ".tar";
  TarWriter tar;
  tar.Add(layer_name, layer);
  if (linked) tar.Add("old/layer.tar", "", '2', "../" + layer_name);
  tar.Add(config_name, config);
  tar.Add("manifest.json", R"([{"Config":")" + config_name + R"(","RepoTags":[)" + repo_tags + R"(],"Layers":[")" +
                               (linked ? "old/layer.tar" : layer_name) + R"("]}])");
  return tar.End();
}

std::string TarOf(const Files& files) {
  TarWriter tar;
  for (const auto& [name, data] : files) tar.Add(name, data);
  return tar.End();
}

void WriteFile(const std::string& path, const std::string& data) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << data;
}

void WriteFiles(const std::string& dir, const Files& files) {
  for (const auto& [name, data] : files) WriteFile(dir + "/" + name, data);
}

TestDirectory::TestDirectory() {
  const char* base = getenv("TEST_TMPDIR");
  path_ = std::string(base != nullptr ? base : "/tmp") + "/layoutsXXXXXX";
  if (mkdtemp(path_.data()) == nullptr) abort();
}

TestDirectory::~TestDirectory() { std::filesystem::remove_all(path_); }

}  // namespace berth::registry_layout
