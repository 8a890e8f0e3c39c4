// Which hosts are asked, in which order, with what: hosts.toml and the directories it may be in.
#include "plugins/registry_oci/oci_registry.h"
#include "plugins/registry_oci/proxy.h"
#include "plugins/registry_oci/registry_test_base.h"

namespace berth::registry_oci {
namespace {

using sdk::Code;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

class MirrorsTest : public RegistryTestBase {
 protected:
  MirrorsTest()
      : first_([this](const ServedRequest&) { return Answer(first_status_, "first"); }),
        second_([this](const ServedRequest&) { return Answer(second_status_, "second"); }),
        upstream_([this](const ServedRequest&) { return Answer(upstream_status_, "upstream"); }) {}

  static ServedResponse Answer(int status, const std::string& body) {
    ServedResponse response;
    response.status = status;
    response.body = body;
    return response;
  }
  std::string Server() const { return "server = \"" + upstream_.url() + "\"\n"; }
  static std::string Host(const ScriptedServer& server, const std::string& keys = "") {
    return "[host.\"" + server.url() + "\"]\n" + keys;
  }
  // Whose manifest it was, or the error.
  std::string Who(const std::string& reference = "example.org/a/b:1") {
    const auto found = Resolve(reference);
    return found.ok() ? found->data : found.status().message();
  }
  Code CodeNow() { return Resolve("example.org/a/b:1").status().code(); }

  std::atomic<int> first_status_{200}, second_status_{200}, upstream_status_{200};
  ScriptedServer first_, second_, upstream_;
};

TEST_F(MirrorsTest, InTheFilesOrderAndToldWhoseImages) {
  WriteHosts("example.org", Server() + Host(first_) + Host(second_));
  EXPECT_EQ(Who(), "first");
  EXPECT_EQ(first_.requests()[0].target, "/v2/a/b/manifests/1?ns=example.org");
  EXPECT_THAT(second_.requests(), IsEmpty());
  first_status_ = 404;
  EXPECT_EQ(Who(), "second");
  second_status_ = 500;
  EXPECT_EQ(Who(), "upstream");
}

TEST_F(MirrorsTest, TheRegistryItselfHasTheLastWord) {
  WriteHosts("example.org", Server() + Host(first_));
  first_status_ = 500;
  upstream_status_ = 404;
  EXPECT_EQ(CodeNow(), Code::kNotFound);
  EXPECT_THAT(first_.requests(), SizeIs(1)) << "no retries: the registry has said what there is";
  first_status_ = 404;
  upstream_status_ = 503;
  EXPECT_EQ(CodeNow(), Code::kUnavailable);
  EXPECT_THAT(Who(), HasSubstr("404 Not Found; http://")) << "each is named";
}

TEST_F(MirrorsTest, TheRegistryItselfIsNotToldItsName) {
  WriteHosts(upstream_.host(), Server());
  EXPECT_EQ(Who(upstream_.host() + "/a/b:1"), "upstream");
  EXPECT_EQ(upstream_.requests()[0].target, "/v2/a/b/manifests/1");
}

TEST_F(MirrorsTest, CapabilitiesAreObeyed) {
  WriteHosts("example.org",
             Server() + Host(first_, "capabilities = [\"pull\"]\n") + Host(second_, "capabilities = [\"push\"]\n"));
  EXPECT_EQ(Who(), "upstream") << "a tag is resolved";
  EXPECT_EQ(Who("example.org/a/b@" + kDigestA), "first") << "a digest is pulled";
  EXPECT_THAT(second_.requests(), IsEmpty());
}

TEST_F(MirrorsTest, WithoutAnyCapabilityNobodyIsAsked) {
  WriteHosts("example.org", Server() + "capabilities = []\n");
  EXPECT_EQ(CodeNow(), Code::kFailedPrecondition);
  EXPECT_THAT(upstream_.requests(), IsEmpty());
}

TEST_F(MirrorsTest, AMirrorThatIsDownIsPassedOver) {
  std::string gone;
  {
    ScriptedServer closed([](const ServedRequest&) { return ServedResponse(); });
    gone = closed.url();
  }
  WriteHosts("example.org", Server() + "[host.\"" + gone + "\"]\n" + Host(second_));
  ASSERT_EQ(Who(), "second");
  std::string got;
  EXPECT_TRUE(FetchInto(Request("example.org/a/b:1"), Blob(kDigestA, 6), 0, UINT64_MAX, &got).ok());
  EXPECT_EQ(got, "second");
}

TEST_F(MirrorsTest, OverridePathAndHeaders) {
  WriteHosts("example.org", "[host.\"" + first_.url() + "/proxy/x/\"]\noverride_path = true\n[host.\"" + first_.url() +
                                "/proxy/x/\".header]\nx-team = [\"a\", \"b\"]\n");
  EXPECT_EQ(Who(), "first");
  EXPECT_EQ(first_.requests()[0].target, "/proxy/x/a/b/manifests/1?ns=example.org");
  EXPECT_EQ(first_.requests()[0].Header("x-team"), "b") << "the last of two";
  WriteHosts("example.org", "[host.\"" + first_.url() + "/prefix\"]\n");
  EXPECT_EQ(Who(), "first");
  EXPECT_EQ(first_.requests()[1].target, "/prefix/v2/a/b/manifests/1?ns=example.org");
}

TEST_F(MirrorsTest, ReadAtEachPull) {
  WriteHosts("example.org", Server());
  EXPECT_EQ(Who(), "upstream");
  WriteHosts("example.org", Server() + Host(first_));
  EXPECT_EQ(Who(), "first");
}

TEST_F(MirrorsTest, Directories) {
  const auto hosts = [&](const std::string& registry) {
    const auto found = FindHosts(options_.hosts, registry);
    EXPECT_TRUE(found.ok()) << found.status().message();
    return found.ok() ? (*found)[0].base.ToString() : "";
  };
  EXPECT_EQ(hosts("docker.io"), "https://registry-1.docker.io/v2");
  EXPECT_EQ(hosts("example.org:5000"), "https://example.org:5000/v2");
  WriteHosts("_default", "[host.\"https://default.org\"]\n");
  EXPECT_EQ(hosts("example.org:5000"), "https://default.org/v2");
  WriteHosts("example.org:5000", "[host.\"mirror.org:1\"]\n");
  EXPECT_EQ(hosts("example.org:5000"), "https://mirror.org:1/v2");
  WriteHosts("example.org_5000_", "[host.\"https://underscore.org\"]\n");
  EXPECT_EQ(hosts("example.org:5000"), "https://underscore.org/v2");
  options_.hosts.roots.insert(options_.hosts.roots.begin(), top_ + "/first");
  EXPECT_EQ(hosts("example.org:5000"), "https://underscore.org/v2") << "a root need not exist";
  WriteFile(top_ + "/first/_default/hosts.toml", "server = \"https://docker.io\"\n");
  EXPECT_EQ(hosts("example.org:5000"), "https://registry-1.docker.io/v2") << "the first root counts";
}

TEST_F(MirrorsTest, CertificatesBesideHostsToml) {
  const std::string directory = top_ + "/certs.d/example.org/";
  const std::string pem = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
  for (const char* name : {"ca.crt", "more.crt", "one.cert", "one.key", "two.cert", "two.key", "notes.txt"}) {
    WriteFile(directory + name, pem);
  }
  auto found = FindHosts(options_.hosts, "example.org");
  ASSERT_TRUE(found.ok()) << found.status().message();
  ASSERT_THAT(*found, SizeIs(2)) << "each client certificate is tried";
  EXPECT_EQ((*found)[0].tls.ca_pem, pem + "\n" + pem + "\n");
  EXPECT_EQ((*found)[0].tls.client_cert, directory + "one.cert");
  EXPECT_EQ((*found)[1].tls.client_key, directory + "two.key");
  EXPECT_FALSE((*found)[0].tls.skip_verify);
  WriteFile(directory + "three.cert", pem);
  found = FindHosts(options_.hosts, "example.org");
  EXPECT_THAT(found.status().message(), HasSubstr("three.cert: there is no three.key beside it"));
}

TEST_F(MirrorsTest, RelativePathsAreTheDirectorys) {
  const std::string directory = top_ + "/certs.d/example.org/";
  WriteFile(directory + "x/ca.pem", "-----BEGIN CERTIFICATE-----\n");
  WriteHosts("example.org", "[host.\"https://m.org\"]\nca = \"x/ca.pem\"\n");
  EXPECT_TRUE(FindHosts(options_.hosts, "example.org").ok());
  WriteHosts("example.org", "[host.\"https://m.org\"]\nca = \"missing.pem\"\n");
  const auto found = FindHosts(options_.hosts, "example.org");
  EXPECT_EQ(found.status().code(), Code::kNotFound);
  EXPECT_THAT(found.status().message(), HasSubstr(directory + "missing.pem"));
  WriteFile(directory + "not.pem", "hello");
  WriteHosts("example.org", "[host.\"https://m.org\"]\nca = \"not.pem\"\n");
  EXPECT_THAT(FindHosts(options_.hosts, "example.org").status().message(), HasSubstr("holds no PEM certificate"));
}

TEST_F(MirrorsTest, AFileThatCannotBeUsedFailsThePull) {
  WriteHosts("example.org", "server = 1\n");
  EXPECT_EQ(CodeNow(), Code::kInvalidArgument);
  EXPECT_THAT(Who(), HasSubstr("/certs.d/example.org/hosts.toml:1: server"));
  WriteHosts("example.org", "[host.\"ftp://x\"]\n");
  EXPECT_THAT(Who(), HasSubstr("neither http nor https"));
  WriteHosts("example.org", Server() + "rewrite = 1\n");
  EXPECT_EQ(Who(), "upstream");
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("hosts.toml: unknown key rewrite (line 2)")));
}

TEST_F(MirrorsTest, ProxiesOfTheEnvironment) {
  WriteHosts("example.org", "server = \"http://registry.example.org\"\n[host.\"http://127.0.0.1:" +
                                std::to_string(first_.port()) + "\"]\n");
  first_status_ = 404;
  setenv("HTTP_PROXY", ("http://user:secret@" + second_.host()).c_str(), 1);
  EXPECT_EQ(Who(), "second") << "through the proxy; the loopback host was not";
  EXPECT_EQ(second_.requests()[0].target, "http://registry.example.org/v2/a/b/manifests/1?ns=example.org");
  EXPECT_THAT(second_.requests()[0].Header("proxy-authorization"), StartsWith("Basic "));
  EXPECT_THAT(first_.requests(), SizeIs(1));
  second_status_ = 403;
  EXPECT_THAT(Who(), Not(HasSubstr("secret")));
  setenv("NO_PROXY", "other.org,.example.org", 1);
  EXPECT_EQ(ProxyFor(*ParseUrl("http://registry.example.org/")).except_for, "other.org,.example.org");
  EXPECT_EQ(ProxyFor(*ParseUrl("https://registry.example.org/")).url, "") << "that would be HTTPS_PROXY";
  EXPECT_EQ(ProxyFor(*ParseUrl("http://localhost:5000/")).url, "");
  unsetenv("HTTP_PROXY");
  unsetenv("NO_PROXY");
}

TEST_F(MirrorsTest, OnlyALoopbackHostWithoutWordsMayBePlain) {
  const auto host = [&](const std::string& registry) { return (*FindHosts(options_.hosts, registry))[0]; };
  EXPECT_TRUE(host("127.0.0.1:5000").http_fallback);
  EXPECT_TRUE(host("127.0.0.1:5000").tls.skip_verify);
  EXPECT_FALSE(host("example.org").http_fallback);
  EXPECT_FALSE(host("example.org").tls.skip_verify);
  WriteHosts("localhost:5000", "server = \"https://localhost:5000\"\n");
  EXPECT_FALSE(host("localhost:5000").http_fallback);
  EXPECT_FALSE(host("localhost:5000").tls.skip_verify);
}

}  // namespace
}  // namespace berth::registry_oci
