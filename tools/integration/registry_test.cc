// Images from network registries: Debian's docker-registry in each way it can be reached, each format of manifests and
// layers, pulled by the real daemon.
#include <atomic>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/file.h"
#include "tools/integration/daemon_test.h"
#include "tools/integration/isolation.h"
#include "tools/integration/registry_server.h"
#include "tools/integration/registry_store.h"
#include "tools/integration/token_server.h"

namespace berth {
namespace {

using Type = LayerEntry::Type;

struct Format {
  const char* name;
  ManifestFormat manifest;
  LayerFormat layer;
};
constexpr Format kFormats[] = {
    {"oci-gzip", ManifestFormat::kOci, LayerFormat::kGzip},
    {"oci-zstd", ManifestFormat::kOci, LayerFormat::kZstd},
    {"oci-plain", ManifestFormat::kOci, LayerFormat::kPlain},
    {"docker-gzip", ManifestFormat::kDocker, LayerFormat::kGzip},
    {"docker-zstd", ManifestFormat::kDocker, LayerFormat::kZstd},
    {"docker-plain", ManifestFormat::kDocker, LayerFormat::kPlain},
};

PlaceOptions WithNetwork() {
  PlaceOptions options;
  options.network_registries = true;
  options.registry_keys = "retries = 1\nretry_milliseconds = 10\n";
  return options;
}

class RegistryTest : public DaemonTest {
 protected:
  static constexpr char kHost[] = "127.0.0.1:5000";

  RegistryTest() : DaemonTest(WithNetwork()) {}

  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(MakePlace());
    store_.emplace(place_->directory() + "/registry/store");
    certificates_ = place_->directory() + "/registry/certificates";
    ASSERT_OK(MakeCertificates(certificates_));
    ASSERT_OK(StartDaemon());
    NoteWhatExists();
  }
  void TearDown() override {
    for (const std::string& image : pulled_) Remove(image);
    servers_.clear();
    EXPECT_OK(RemoveTree(place_->directory() + "/registry"));
    EXPECT_OK(RemoveTree(place_->certs()));
    DaemonTest::TearDown();
  }

  void Serve(RegistryServerOptions options) {
    options.store = store_->root();
    auto server = RegistryServer::Start(absl::StrCat(place_->directory(), "/registry/", servers_.size()), options);
    ASSERT_OK(server);
    servers_.push_back(*std::move(server));
  }
  // certs.d/HOST/hosts.toml.
  void WriteHosts(const std::string& host, const std::string& text) {
    EXPECT_OK(MakeDirs(absl::StrCat(place_->certs(), "/", host)));
    EXPECT_OK(
        WriteFileAtomic(absl::StrCat(place_->certs(), "/", host, "/hosts.toml"), text, 0644, Durability::kVolatile));
  }
  StoredImage AddImage(const std::string& repository, const Format& format = kFormats[0], bool in_index = false) {
    std::vector<std::string> layers;
    for (int i = 0; i < 3; ++i) {
      const auto tar = MakeTar({{Type::kFile, absl::StrCat("file-", i), repository + std::string(100'000, 'x'), 0644}});
      EXPECT_OK(tar);
      layers.push_back(tar.value_or(""));
    }
    const auto stored = store_->Add(repository, "1", format.manifest, format.layer, layers, in_index);
    EXPECT_OK(stored);
    return stored.value_or(StoredImage());
  }
  absl::StatusOr<std::string> PullAs(const std::string& reference, const cri::AuthConfig& auth) {
    cri::PullImageRequest request;
    request.mutable_image()->set_image(reference);
    *request.mutable_auth() = auth;
    const auto response = client().PullImage(request);
    if (!response.ok()) return response.status();
    pulled_.push_back(reference);
    return response->image_ref();
  }
  absl::StatusOr<std::string> PullAs(const std::string& reference) { return PullAs(reference, cri::AuthConfig()); }
  void Remove(const std::string& reference) {
    cri::RemoveImageRequest request;
    request.mutable_image()->set_image(reference);
    EXPECT_OK(client().RemoveImage(request));
  }
  static cri::AuthConfig Password() {
    cri::AuthConfig auth;
    auth.set_username(kRegistryUser);
    auth.set_password(kRegistryPassword);
    return auth;
  }
  // Every format, each as a repository of its own, by tag, in an index, and by digest.
  void PullEveryFormat(const cri::AuthConfig& auth = cri::AuthConfig()) {
    for (const Format& format : kFormats) {
      for (const bool in_index : {false, true}) {
        const std::string repository = absl::StrCat("matrix/", format.name, in_index ? "-index" : "");
        const StoredImage stored = AddImage(repository, format, in_index);
        const std::string name = absl::StrCat(kHost, "/", repository);
        const auto by_tag = PullAs(name + ":1", auth);
        EXPECT_OK(by_tag);
        EXPECT_EQ(by_tag.value_or(""), stored.id);
        const auto by_digest = PullAs(absl::StrCat(name, "@", stored.top_digest), auth);
        EXPECT_OK(by_digest);
        EXPECT_EQ(by_digest.value_or(""), stored.id);
      }
    }
  }

  std::optional<RegistryStore> store_;
  std::string certificates_;
  std::vector<RegistryServer> servers_;
  std::vector<std::string> pulled_;
};

TEST_F(RegistryTest, Plain) {
  Serve({});
  PullEveryFormat();
}

TEST_F(RegistryTest, Tls) {
  RegistryServerOptions options;
  options.certificates = certificates_;
  Serve(options);
  WriteHosts(kHost, absl::StrCat("server = \"https://127.0.0.1:5000\"\nca = \"", certificates_, "/ca.crt\"\n"));
  PullEveryFormat();
  EXPECT_THAT(ReadFile(servers_[0].log(), 16 << 20).value_or(""), testing::HasSubstr("HTTP/2.0"));
  // Nobody vouches for it.
  WriteHosts(kHost, "server = \"https://127.0.0.1:5000\"\n");
  const auto untrusted = PullAs(absl::StrCat(kHost, "/matrix/oci-gzip:1"));
  EXPECT_CODE(untrusted, kFailedPrecondition);
  EXPECT_THAT(std::string(untrusted.status().message()), testing::HasSubstr("certificate"));
}

TEST_F(RegistryTest, MutualTls) {
  RegistryServerOptions options;
  options.certificates = certificates_;
  options.client_certificates = true;
  Serve(options);
  WriteHosts(kHost,
             absl::StrCat("server = \"https://127.0.0.1:5000\"\nca = \"", certificates_, "/ca.crt\"\nclient = [[\"",
                          certificates_, "/client.crt\", \"", certificates_, "/client.key\"]]\n"));
  PullEveryFormat();
}

TEST_F(RegistryTest, BasicPassword) {
  RegistryServerOptions options;
  options.password = true;
  Serve(options);
  PullEveryFormat(Password());
}

TEST_F(RegistryTest, APasswordIsAskedFor) {
  RegistryServerOptions options;
  options.password = true;
  Serve(options);
  AddImage("private/image");
  const std::string name = absl::StrCat(kHost, "/private/image:1");
  EXPECT_CODE(PullAs(name), kUnauthenticated);
  cri::AuthConfig wrong = Password();
  wrong.set_password("guessed");
  EXPECT_CODE(PullAs(name, wrong), kUnauthenticated);
  cri::AuthConfig elsewhere = Password();
  elsewhere.set_server_address("https://other.example.org");
  EXPECT_CODE(PullAs(name, elsewhere), kUnauthenticated);
  cri::AuthConfig encoded;
  encoded.set_auth("cHVsbGVyOnMzY3JldA==");
  encoded.set_server_address("http://127.0.0.1:5000/v2/");
  EXPECT_OK(PullAs(name, encoded));
  EXPECT_EQ(DaemonLog().find("guessed"), std::string::npos);
  EXPECT_EQ(DaemonLog().find(kRegistryPassword), std::string::npos);
}

TEST_F(RegistryTest, TokenServer) {
  TokenServer tokens(certificates_);
  RegistryServerOptions options;
  options.certificates = certificates_;
  options.tls = false;
  options.token_realm = tokens.realm();
  Serve(options);
  PullEveryFormat(Password());
  AddImage("private/image");
  const std::string name = absl::StrCat(kHost, "/private/image:1");
  EXPECT_CODE(PullAs(name), kUnauthenticated);
  cri::AuthConfig auth;
  auth.set_identity_token(kIdentityToken);
  EXPECT_OK(PullAs(name, auth));
  const auto token = SignPullToken(certificates_, "private/image");
  ASSERT_OK(token);
  auth.Clear();
  auth.set_registry_token(*token);
  EXPECT_OK(PullAs(name, auth));
  auth.set_registry_token(SignPullToken(certificates_, "other/image").value_or(""));
  EXPECT_CODE(PullAs(name, auth), kUnauthenticated);
}

// A mirror that has only some, a mirror that nobody answers at, and the registry itself.
TEST_F(RegistryTest, Mirrors) {
  Serve({});
  WriteHosts("registry.example.org", R"(
server = "http://127.0.0.1:5000"
[host."http://127.0.0.1:4999"]
[host."http://127.0.0.1:5001"]
)");
  AddImage("some/image");
  EXPECT_OK(PullAs("registry.example.org/some/image:1"));
  WriteHosts("registry.example.org", "server = \"http://127.0.0.1:5000\"\n[host.\"https://127.0.0.1:5000\"]\nca = 1\n");
  const auto pulled = PullAs("registry.example.org/some/image:1");
  EXPECT_CODE(pulled, kInvalidArgument);
  EXPECT_THAT(std::string(pulled.status().message()), testing::HasSubstr("hosts.toml:3: "));
}

// The pull's caller goes away while a layer hangs: nothing stays, neither a process nor a snapshot.
TEST_F(RegistryTest, ACancelledPullLeavesNothing) {
  const StoredImage stored = AddImage("slow/image");
  std::atomic<int> layers{0};
  registry_oci::ScriptedServer slow([&](const registry_oci::ServedRequest& request) {
    registry_oci::ServedResponse response;
    std::string path = store_->PathOfContent(request.target.substr(request.target.rfind('/') + 1));
    if (absl::StrContains(request.target, "/manifests/")) {
      path = store_->PathOfContent(stored.top_digest);
      response.headers = {{"Content-Type", "application/vnd.oci.image.manifest.v1+json"}};
    } else if (!absl::StrContains(request.target, stored.id)) {
      // Half of it comes, more than is unpacked at once.
      ++layers;
      response.hang_after_body = true;
    }
    response.body = ReadFile(path).value_or("");
    if (response.hang_after_body) {
      response.body_size = static_cast<int64_t>(response.body.size());
      response.body.resize(response.body.size() / 2);
    }
    return response;
  });
  cri::PullImageRequest request;
  request.mutable_image()->set_image(slow.host() + "/slow/image:1");
  // However slow the machine is, it gets to a layer at last.
  for (absl::Duration patience = absl::Seconds(3); layers == 0 && patience < absl::Minutes(3); patience *= 2) {
    EXPECT_FALSE(client().PullImage(request, patience).ok());
  }
  EXPECT_GT(layers, 0);
  // TearDown looks for what is left.
}

TEST_F(RegistryTest, SecretsAreInNobodysArguments) {
  std::atomic<bool> seen{false};
  registry_oci::ScriptedServer watching([&](const registry_oci::ServedRequest&) {
    for (const std::string& pid : ListDir("/proc").value_or(std::vector<std::string>())) {
      for (const char* file : {"/cmdline", "/environ"}) {
        const std::string text = ReadFile(absl::StrCat("/proc/", pid, file)).value_or("");
        seen = seen || absl::StrContains(text, kRegistryPassword);
      }
    }
    registry_oci::ServedResponse response;
    response.status = 403;
    return response;
  });
  EXPECT_CODE(PullAs(watching.host() + "/any/image:1", Password()), kPermissionDenied);
  EXPECT_FALSE(seen);
  EXPECT_EQ(DaemonLog().find(kRegistryPassword), std::string::npos);
}

TEST_F(RegistryTest, WhatIsNotThereIsNotFound) {
  Serve({});
  const auto pulled = PullAs(absl::StrCat(kHost, "/no/such:1"));
  EXPECT_CODE(pulled, kNotFound);
  // Each registry says why, on one line that the kubelet shows.
  EXPECT_THAT(std::string(pulled.status().message()),
              testing::MatchesRegex("pull 127.0.0.1:5000/no/such:1: registry_layout: .*; registry_oci: "
                                    "http://127.0.0.1:5000/v2/no/such/manifests/1: 404 Not Found: .*"));
}

TEST_F(RegistryTest, NobodyListens) {
  const auto pulled = PullAs(absl::StrCat(kHost, "/any/image:1"));
  EXPECT_CODE(pulled, kUnknown);
  // The kubelet looks for this word at the beginning.
  EXPECT_THAT(std::string(pulled.status().message()), testing::StartsWith("RegistryUnavailable: "));
}

TEST_F(RegistryTest, AContainerRunsFromIt) {
  Serve({});
  const auto entries = BusyboxEntries();
  ASSERT_OK(entries);
  const auto tar = MakeTar(*entries);
  ASSERT_OK(tar);
  ASSERT_OK(store_->Add("test/busybox", "1", ManifestFormat::kOci, LayerFormat::kZstd, {*tar}));
  const std::string name = absl::StrCat(kHost, "/test/busybox:1");
  ASSERT_OK(PullAs(name));
  const auto pod_config = PodConfig("pulled");
  const auto pod = RunPod(pod_config);
  ASSERT_OK(pod);
  auto config = ShellConfig("main", "echo from a registry");
  config.mutable_image()->set_image(name);
  const auto container = Create(*pod, pod_config, config);
  ASSERT_OK(container);
  ASSERT_OK(StartContainer(*container));
  ASSERT_OK(WaitFor(*container, cri::CONTAINER_EXITED));
  const auto log = ReadLog(pod_config, "main");
  ASSERT_EQ(log.size(), 1u);
  EXPECT_EQ(log[0].text, "from a registry");
  ASSERT_OK(RemovePod(*pod));
}

}  // namespace
}  // namespace berth
