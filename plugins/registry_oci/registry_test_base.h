// What tests of OciRegistry share: a directory of hosts, short limits, and one way to fetch.
#ifndef BERTH_PLUGINS_REGISTRY_OCI_REGISTRY_TEST_BASE_H_
#define BERTH_PLUGINS_REGISTRY_OCI_REGISTRY_TEST_BASE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "plugins/registry_oci/oci_registry.h"
#include "plugins/registry_oci/testing/scripted_server.h"

namespace berth::registry_oci {

inline constexpr char kManifestType[] = "application/vnd.oci.image.manifest.v1+json";

class RegistryTestBase : public testing::Test {
 protected:
  RegistryTestBase() {
    const char* base = getenv("TEST_TMPDIR");
    std::string pattern = std::string(base == nullptr ? "/tmp" : base) + "/registry.XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) std::abort();
    top_ = pattern;
    options_.hosts.roots = {top_ + "/certs.d"};
    options_.hosts.connect_timeout_ms = 5000;
    options_.hosts.warn = [this](const std::string& text) { warnings_.push_back(text); };
    options_.http.stall_ms = 5000;
    options_.http.min_bytes_per_second = 1000;
    options_.retries = 2;
    options_.backoff_ms = 1;
    options_.max_retry_after_ms = 1500;
  }
  ~RegistryTestBase() override { std::filesystem::remove_all(top_); }

  OciRegistry& registry() {
    if (registry_ == nullptr) registry_ = std::make_unique<OciRegistry>(options_);
    return *registry_;
  }
  void WriteFile(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }
  // certs.d/HOST/hosts.toml.
  void WriteHosts(const std::string& host, const std::string& text) {
    WriteFile(top_ + "/certs.d/" + host + "/hosts.toml", text);
  }
  static sdk::RegistryRequest Request(const std::string& reference) {
    sdk::RegistryRequest request;
    request.reference = reference;
    return request;
  }
  sdk::Result<sdk::ContentDescriptor> Resolve(const std::string& reference) {
    return registry().Resolve(sdk::Call(), Request(reference));
  }
  static sdk::ContentDescriptor Blob(const std::string& digest, uint64_t size) {
    sdk::ContentDescriptor what;
    what.media_type = "application/vnd.oci.image.layer.v1.tar";
    what.digest = digest;
    what.size = size;
    return what;
  }
  // What the sink got comes back in *got, also after an error.
  sdk::Status FetchInto(const sdk::RegistryRequest& request, const sdk::ContentDescriptor& what, uint64_t offset,
                        uint64_t length, std::string* got) {
    return registry().Fetch(sdk::Call(), request, what, offset, length, [got](std::string_view data) {
      got->append(data);
      return sdk::Status();
    });
  }

  std::string top_;
  OciRegistry::Options options_;
  std::vector<std::string> warnings_;
  std::unique_ptr<OciRegistry> registry_;
};

inline const std::string kDigestA = "sha256:" + std::string(64, 'a');

}  // namespace berth::registry_oci

#endif  // BERTH_PLUGINS_REGISTRY_OCI_REGISTRY_TEST_BASE_H_
