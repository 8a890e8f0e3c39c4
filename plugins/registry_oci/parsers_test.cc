// References, URLs, credentials, challenges: text in, values out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/registry_oci/auth_challenge.h"
#include "plugins/registry_oci/image_reference.h"
#include "plugins/registry_oci/login.h"
#include "plugins/registry_oci/url.h"

namespace berth::registry_oci {
namespace {

using sdk::Code;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

const std::string kDigest = "sha256:" + std::string(64, 'a');

TEST(ImageReferenceTest, Parts) {
  const auto tagged = ParseReference("[::1]:5000/a/b-c.d__e:V1.2-x");
  ASSERT_TRUE(tagged.ok()) << tagged.status().message();
  EXPECT_EQ(tagged->host, "[::1]:5000");
  EXPECT_EQ(tagged->path, "a/b-c.d__e");
  EXPECT_EQ(tagged->tag, "V1.2-x");
  const auto digested = ParseReference("docker.io/library/busybox@" + kDigest);
  ASSERT_TRUE(digested.ok());
  EXPECT_EQ(digested->digest, kDigest);
  EXPECT_EQ(digested->tag, "");
}

TEST(ImageReferenceTest, WhatCouldLeaveAUrlOrADirectoryIsRefused) {
  for (const char* text : {"",
                           "/",
                           "a",
                           "a/b",
                           "../etc:1",
                           "a/../b:1",
                           "a/b/../c:1",
                           "a/./b:1",
                           "a//b:1",
                           "..:1/b:1",
                           "a..b/c:1",
                           "h/p:1?x",
                           "h/p?x=1:1",
                           "h/p#:1",
                           "h/p%2e:1",
                           "h@h/p:1",
                           "u:p@h/p:1",
                           "h:99999999/p:1",
                           "h:/p:1",
                           "h/p:.",
                           "h/P:1",
                           "h/p:-",
                           "h /p:1",
                           "h/p:1\n",
                           "h/p@sha256:xyz",
                           "h/p@md5:00",
                           "h/p@sha256:",
                           "[::1/p:1",
                           "h\\x/p:1",
                           "_default/p:1"}) {
    EXPECT_EQ(ParseReference(text).status().code(), Code::kInvalidArgument) << text;
  }
  EXPECT_FALSE(ParseReference(std::string("h/p\0:1", 6)).ok());
  EXPECT_FALSE(ParseReference("h/" + std::string(2000, 'p') + ":1").ok());
}

TEST(ImageReferenceTest, Loopback) {
  for (const char* host : {"localhost", "localhost:5000", "127.0.0.1", "127.1.2.3:80", "[::1]", "[::1]:5000"}) {
    EXPECT_TRUE(IsLoopback(host)) << host;
  }
  for (const char* host : {"127.0.0.1.example.org", "localhost.example.org", "10.0.0.1", "[::2]:5000", "docker.io"}) {
    EXPECT_FALSE(IsLoopback(host)) << host;
  }
}

TEST(UrlTest, Parts) {
  const auto url = ParseUrl("HTTPS://Example.ORG/v2/?a=b");
  ASSERT_TRUE(url.ok());
  EXPECT_EQ(url->Origin(), "https://example.org:443");
  EXPECT_EQ(url->ToString(), "https://example.org/v2/?a=b");
  EXPECT_EQ(url->Shown(), "https://example.org/v2/") << "signed URLs have secrets in the query";
  EXPECT_EQ(ParseUrl("http://[::1]:5000")->Authority(), "[::1]:5000");
}

TEST(UrlTest, RedirectsAreResolved) {
  const Url base = *ParseUrl("https://a.org:8443/v2/x/blobs/y?z=1");
  EXPECT_EQ(ResolveUrl(base, "/other")->ToString(), "https://a.org:8443/other");
  EXPECT_EQ(ResolveUrl(base, "next?q=2")->ToString(), "https://a.org:8443/v2/x/blobs/next?q=2");
  EXPECT_EQ(ResolveUrl(base, "//b.org/c")->ToString(), "https://b.org/c");
  EXPECT_EQ(ResolveUrl(base, "http://b.org/c")->Origin(), "http://b.org:80");
}

TEST(UrlTest, OthersAreRefused) {
  for (const char* text : {"", "file:///etc/passwd", "ftp://a/b", "https://user:secret@a/b", "https:// a/",
                           "https://a\n/", "http://", "unix:/x", "gopher://a"}) {
    const auto url = ParseUrl(text);
    EXPECT_EQ(url.status().code(), Code::kInvalidArgument) << text;
    EXPECT_THAT(url.status().message(), Not(HasSubstr("secret"))) << text;
  }
  EXPECT_FALSE(ParseUrl("https://a/" + std::string(20'000, 'x')).ok());
}

TEST(UrlTest, Forms) {
  EXPECT_EQ(FormEncoded({{"scope", "repository:a/b:pull"}, {"x", "1 2&\n\xff"}}),
            "scope=repository%3Aa%2Fb%3Apull&x=1%202%26%0A%FF");
}

TEST(LoginTest, PasswordsInBothForms) {
  sdk::RegistryCredentials given;
  given.username = "u";
  given.password = "p";
  given.auth = "eDp5";
  auto login = ReadLogin(given, "h");
  ASSERT_TRUE(login.ok());
  EXPECT_EQ(login->username + "/" + login->password, "u/p");
  given = {};
  given.auth = "dXNlcjpwYTpzcw==";  // user:pa:ss
  EXPECT_EQ(ReadLogin(given, "h")->username, "user");
  EXPECT_EQ(ReadLogin(given, "h")->password, "pa:ss");
  given.auth = "dTpw";
  given.auth += "AAAA";  // NUL bytes at the end
  EXPECT_EQ(ReadLogin(given, "h")->password, "p");
  for (const char* bad : {"%%%", "bm9jb2xvbg==", "dXNl cg=="}) {
    given.auth = bad;
    login = ReadLogin(given, "h");
    EXPECT_EQ(login.status().code(), Code::kInvalidArgument) << bad;
    EXPECT_THAT(login.status().message(), Not(HasSubstr(bad)));
  }
}

TEST(LoginTest, AServerAddressBindsThem) {
  sdk::RegistryCredentials given;
  given.username = "u";
  given.password = "p";
  const auto used = [&](const char* address, const char* host) {
    given.server_address = address;
    return !ReadLogin(given, host)->empty();
  };
  EXPECT_TRUE(used("", "a.org"));
  EXPECT_TRUE(used("a.org", "a.org"));
  EXPECT_TRUE(used("https://A.org/v2/", "a.org"));
  EXPECT_TRUE(used("https://index.docker.io/v1/", "docker.io"));
  EXPECT_TRUE(used("a.org:5000", "a.org:5000"));
  EXPECT_FALSE(used("a.org", "a.org:5000"));
  EXPECT_FALSE(used("a.org", "b.a.org"));
  EXPECT_FALSE(used("https://a.org.evil.org", "a.org"));
  EXPECT_FALSE(used("https://evil.org/a.org", "a.org"));
}

TEST(LoginTest, ATokenEndsNoHeaderField) {
  sdk::RegistryCredentials given;
  given.registry_token = "abc\r\nX-Evil: 1";
  EXPECT_EQ(ReadLogin(given, "h").status().code(), Code::kInvalidArgument);
}

TEST(LoginTest, Base64) {
  EXPECT_EQ(Base64(""), "");
  EXPECT_EQ(Base64("a"), "YQ==");
  EXPECT_EQ(Base64("ab"), "YWI=");
  EXPECT_EQ(Base64("abc\xff"), "YWJj/w==");
}

TEST(AuthChallengeTest, Bearer) {
  const auto all = ParseChallenges(
      R"(Bearer realm="https://auth.example.org/token",service="registry", scope="repository:a/b:pull,push" , error=x)");
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].scheme, "bearer");
  EXPECT_THAT(all[0].params, ElementsAre(Pair("error", "x"), Pair("realm", "https://auth.example.org/token"),
                                         Pair("scope", "repository:a/b:pull,push"), Pair("service", "registry")));
}

TEST(AuthChallengeTest, SeveralInOneField) {
  const auto all =
      ParseChallenges(R"(Negotiate, Negotiate abc==, NTLM a/b+c=, BASIC realm="a \"b\", c", , Bearer Realm = x)");
  ASSERT_EQ(all.size(), 5u);
  EXPECT_EQ(all[0].scheme, "negotiate");
  EXPECT_TRUE(all[1].params.empty());
  EXPECT_EQ(all[2].scheme, "ntlm");
  EXPECT_EQ(all[3].Param("realm"), R"(a "b", c)");
  EXPECT_EQ(all[4].scheme, "bearer");
  EXPECT_EQ(all[4].Param("realm"), "x");
}

TEST(AuthChallengeTest, MalformedOnesEndTheList) {
  EXPECT_TRUE(ParseChallenges("").empty());
  EXPECT_TRUE(ParseChallenges("\x01\x02").empty());
  EXPECT_TRUE(ParseChallenges("=x").empty());
  EXPECT_TRUE(ParseChallenges("Bearer?realm=x").empty());
  EXPECT_EQ(ParseChallenges("Basic realm=\"never closed").size(), 1u);
  EXPECT_EQ(ParseChallenges("Basic realm=\"never closed")[0].Param("realm"), "");
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "a" + std::to_string(i) + " b=c,";
  EXPECT_LE(ParseChallenges(many).size(), 16u);
}

}  // namespace
}  // namespace berth::registry_oci
