// The plugin's .so through the loader, against a registry that serves one image.
#include "core/plugin/conformance/registry_suite.h"
#include "plugins/registry_oci/testing/scripted_server.h"

namespace berth {
namespace {

using registry_oci::ScriptedServer;
using registry_oci::ServedRequest;
using registry_oci::ServedResponse;

// The digests are those of the texts below.
constexpr char kType[] = "application/vnd.oci.image.manifest.v1+json";
constexpr char kConfig[] = "{}";
constexpr char kConfigDigest[] = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
const std::string kLayer(600, 'a');
constexpr char kLayerDigest[] = "ba35c170729417f1499e0886e7e12fcdb4ab00ad411110ae1e888c766d4ed70d";

std::string Manifest() {
  return std::string(R"({"schemaVersion":2,"mediaType":")") + kType +
         R"(","config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,"digest":"sha256:)" +
         kConfigDigest +
         R"("},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","size":600,"digest":"sha256:)" +
         kLayerDigest + R"("}]})";
}

ServedResponse Respond(const ServedRequest& request) {
  ServedResponse response;
  const std::string& target = request.target;
  if (target == "/v2/image/manifests/tag") {
    response.headers = {{"Content-Type", kType}};
    response.body = Manifest();
  } else if (target == std::string("/v2/image/blobs/sha256:") + kConfigDigest) {
    response.body = kConfig;
  } else if (target == std::string("/v2/image/blobs/sha256:") + kLayerDigest) {
    response.body = kLayer;
  } else {
    response.status = 404;
  }
  const std::string range = request.Header("range");
  if (response.status == 200 && !range.empty()) {
    const size_t begin = std::stoul(range.substr(6)), end = std::stoul(range.substr(range.find('-') + 1));
    response.status = 206;
    response.headers.emplace_back("Content-Range", "bytes " + range.substr(6) + "/*");
    response.body = response.body.substr(begin, end - begin + 1);
  }
  return response;
}

// One server for all tests; none of them changes it.
ScriptedServer& Server() {
  static ScriptedServer server(&Respond);
  return server;
}

ConfigValue::Table MakeConfig(const std::string& directory) {
  ConfigValue::Table config;
  config["config_path"].value = ConfigValue::Array{ConfigValue{directory}};
  return config;
}

INSTANTIATE_TEST_SUITE_P(RegistryOci, RegistrySuite,
                         testing::Values(RegistryUnderTest{"plugins/registry_oci/registry_oci.so", &MakeConfig,
                                                           Server().host() + "/image:tag",
                                                           Server().host() + "/image:missing", /*lists=*/false}));

}  // namespace
}  // namespace berth
