#include "plugins/registry_oci/hosts_toml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::registry_oci {
namespace {

using sdk::Code;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

HostsToml Parse(const std::string& text) {
  auto parsed = ParseHostsToml(text, "f.toml");
  EXPECT_TRUE(parsed.ok()) << parsed.status().message();
  return parsed.ok() ? *std::move(parsed) : HostsToml();
}

void ExpectFault(const std::string& text, const std::string& message) {
  const auto parsed = ParseHostsToml(text, "f.toml");
  EXPECT_EQ(parsed.status().code(), Code::kInvalidArgument) << text;
  EXPECT_THAT(parsed.status().message(), HasSubstr(message)) << text;
}

TEST(HostsTomlTest, EveryKey) {
  const HostsToml file = Parse(R"(
server = "https://registry.example.org"
ca = "upstream.crt"

[host."https://mirror.example.org:5000/proxy"]
  capabilities = ["pull"]
  ca = ["a.crt", "/b.crt"]
  client = [["c.cert", "c.key"], "both.pem", ["alone.pem", ""]]
  skip_verify = true
  override_path = true
  dial_timeout = "1m1.5s"
  [host."https://mirror.example.org:5000/proxy".header]
    x-one = "1"
    x-more = ["2", "3"]
)");
  EXPECT_EQ(file.server.url, "https://registry.example.org");
  EXPECT_THAT(file.server.ca, ElementsAre("upstream.crt"));
  ASSERT_EQ(file.hosts.size(), 1u);
  const HostTable& host = file.hosts[0];
  EXPECT_EQ(host.url, "https://mirror.example.org:5000/proxy");
  EXPECT_TRUE(host.pull);
  EXPECT_FALSE(host.resolve);
  EXPECT_THAT(host.ca, ElementsAre("a.crt", "/b.crt"));
  EXPECT_THAT(host.client, ElementsAre(Pair("c.cert", "c.key"), Pair("both.pem", ""), Pair("alone.pem", "")));
  EXPECT_EQ(host.skip_verify, true);
  EXPECT_TRUE(host.override_path);
  EXPECT_EQ(host.dial_timeout_ms, 61'500);
  EXPECT_THAT(host.headers, ElementsAre(Pair("x-more", "2"), Pair("x-more", "3"), Pair("x-one", "1")));
  EXPECT_TRUE(file.unknown.empty());
}

TEST(HostsTomlTest, TheFilesOrderIsKept) {
  std::string text;
  std::vector<std::string> names;
  for (int i = 0; i < 20; ++i) {
    names.push_back("https://" + std::string(1, static_cast<char>('t' - i)) + ".org");
    text += "[host.\"" + names.back() + "\"]\n";
  }
  std::vector<std::string> found;
  for (const HostTable& host : Parse(text).hosts) found.push_back(host.url);
  EXPECT_EQ(found, names);
  found.clear();
  for (const HostTable& host :
       Parse(R"(host = {"https://z.org" = {}, "https://a.org" = {}, "https://m.org" = {}})").hosts) {
    found.push_back(host.url);
  }
  EXPECT_THAT(found, ElementsAre("https://z.org", "https://a.org", "https://m.org"));
}

TEST(HostsTomlTest, AnEmptyFileIsTheRegistryItself) {
  const HostsToml file = Parse("");
  EXPECT_EQ(file.server.url, "");
  EXPECT_TRUE(file.server.pull && file.server.resolve);
  EXPECT_TRUE(file.hosts.empty());
}

TEST(HostsTomlTest, UnknownKeysAreNamed) {
  EXPECT_THAT(Parse("rewrite = 1\n[host.\"https://a\"]\nskip_verfy = true\n").unknown,
              ElementsAre("host.\"https://a\".skip_verfy (line 3)", "rewrite (line 1)"));
}

TEST(HostsTomlTest, FaultsNameFileLineAndKey) {
  ExpectFault("server = 3", "f.toml:1: server: expected a string");
  ExpectFault("\n[host.\"https://a\"]\ncapabilities = [\"pul\"]",
              "f.toml:3: host.\"https://a\".capabilities: \"pul\" is none");
  ExpectFault("[host.a]\nca = 1", "f.toml:2: host.\"a\".ca: expected a string or an array of strings");
  ExpectFault("[host.a]\nclient = [[]]", "expected a certificate, or a certificate and a key");
  ExpectFault("[host.a]\nclient = [[\"a\",\"b\",\"c\"]]", "expected a certificate, or a certificate and a key");
  ExpectFault("[host.a]\nskip_verify = \"yes\"", "expected true or false");
  ExpectFault("[host.a]\ndial_timeout = \"soon\"", "expected a duration");
  ExpectFault("[host.a]\ndial_timeout = \"0s\"", "expected a duration");
  ExpectFault("host = 1", "expected tables");
  ExpectFault("[host]\na = 1", "expected a table");
  ExpectFault("server = = 1", "f.toml:1: not TOML");
  ExpectFault(std::string(100'000, '['), "nests too deep");
  ExpectFault("a = " + std::string(100'000, '{'), "nests too deep");
  for (const char* bytes :
       {"\xff", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80"}) {
    ExpectFault("server = '" + std::string(bytes) + "'", "not UTF-8");
  }
  EXPECT_EQ(Parse("server = 'https://\xc3\xa4.org/\xe2\x82\xac\xf0\x9f\x9a\xa2'").server.url.size(), 22u);
  EXPECT_EQ(ParseHostsToml(std::string(300 << 10, ' '), "f").status().code(), Code::kResourceExhausted);
}

TEST(HostsTomlTest, HeadersKeepTheirSecrets) {
  const std::string secret = "aGVsbG8";
  for (const std::string& text :
       {"[host.a.header]\nauthorization = \"" + secret + "\\n\"", "[host.a.header]\n\"bad name\" = \"" + secret + "\"",
        "[host.a.header]\nauthorization = \"" + secret + "\" oops"}) {
    const auto parsed = ParseHostsToml(text, "f.toml");
    EXPECT_EQ(parsed.status().code(), Code::kInvalidArgument) << text;
    EXPECT_THAT(parsed.status().message(), Not(HasSubstr(secret)));
  }
}

TEST(HostsTomlTest, Durations) {
  EXPECT_EQ(ParseDurationMs("500ms"), 500);
  EXPECT_EQ(ParseDurationMs("1h2m3s"), 3'723'000);
  EXPECT_EQ(ParseDurationMs(".5s"), 500);
  for (const char* bad : {"", "5", "s", "1.2.3s", "-1s", "1d", "9999h", "1s ", "."}) {
    EXPECT_FALSE(ParseDurationMs(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace berth::registry_oci
