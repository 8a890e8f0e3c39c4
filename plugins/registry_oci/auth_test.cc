// The ways a registry may ask who is there, and who gets to see the answer.
#include <atomic>
#include <thread>

#include "plugins/registry_oci/authorizer.h"
#include "plugins/registry_oci/login.h"
#include "plugins/registry_oci/registry_test_base.h"

namespace berth::registry_oci {
namespace {

using sdk::Code;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const std::string kBasic = "Basic " + Base64("user:pass");

class AuthTest : public RegistryTestBase {
 protected:
  // A token server whose tokens are "token-N", and a registry that takes what `accepted` says.
  AuthTest() {
    tokens_ = std::make_unique<ScriptedServer>([this](const ServedRequest& request) { return OnToken(request); });
    server_ = std::make_unique<ScriptedServer>([this](const ServedRequest& request) {
      ServedResponse response;
      if (accepts_(request.Header("authorization"))) {
        response.headers = {{"Content-Type", kManifestType}};
        response.body = "{}";
      } else {
        response.status = 401;
        response.headers = {{"WWW-Authenticate", challenge_}};
        response.body = R"({"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]})";
      }
      return response;
    });
    challenge_ = Bearer(tokens_->url() + "/token");
  }
  static std::string Bearer(const std::string& realm, const std::string& scope = "repository:a/b:pull") {
    return "Bearer realm=\"" + realm + "\",service=\"the registry\",scope=\"" + scope + "\"";
  }
  virtual ServedResponse OnToken(const ServedRequest&) {
    ServedResponse response;
    response.body = R"({"token":"token-)" + std::to_string(++issued_) + R"(","expires_in":60})";
    return response;
  }
  sdk::Result<sdk::ContentDescriptor> ResolveAs(const sdk::RegistryCredentials& credentials) {
    sdk::RegistryRequest request = Request(server_->host() + "/a/b:1");
    request.credentials = credentials;
    return registry().Resolve(sdk::Call(), request);
  }
  static sdk::RegistryCredentials Password() {
    sdk::RegistryCredentials credentials;
    credentials.username = "user";
    credentials.password = "pass";
    return credentials;
  }

  std::function<bool(const std::string&)> accepts_ = [](const std::string& header) {
    return header == "Bearer token-1";
  };
  std::string challenge_;
  std::atomic<int> issued_{0};
  std::unique_ptr<ScriptedServer> tokens_, server_;
};

TEST_F(AuthTest, AnonymousToken) {
  const auto found = ResolveAs({});
  ASSERT_TRUE(found.ok()) << found.status().message();
  ASSERT_EQ(tokens_->requests().size(), 1u);
  EXPECT_EQ(tokens_->requests()[0].target, "/token?service=the%20registry&scope=repository%3Aa%2Fb%3Apull");
  EXPECT_EQ(tokens_->requests()[0].Header("authorization"), "");
}

TEST_F(AuthTest, TokenForAPassword) {
  ASSERT_TRUE(ResolveAs(Password()).ok());
  ASSERT_EQ(tokens_->requests().size(), 1u);
  EXPECT_EQ(tokens_->requests()[0].Header("authorization"), kBasic);
  EXPECT_THAT(tokens_->requests()[0].target, HasSubstr("account=user"));
  for (const ServedRequest& request : server_->requests()) {
    EXPECT_THAT(request.Header("authorization"), Not(HasSubstr("Basic"))) << "the registry asked for a token only";
  }
}

TEST_F(AuthTest, OneTokenServesAllOfAPull) {
  ASSERT_TRUE(ResolveAs({}).ok());
  sdk::RegistryRequest request = Request(server_->host() + "/a/b:1");
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      std::string got;
      EXPECT_TRUE(FetchInto(request, Blob(kDigestA, 2), 0, UINT64_MAX, &got).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(tokens_->requests().size(), 1u);
}

TEST_F(AuthTest, AnExpiredTokenIsReplacedOnceForAllThreads) {
  ASSERT_TRUE(ResolveAs({}).ok());
  accepts_ = [](const std::string& header) { return header == "Bearer token-2"; };
  sdk::RegistryRequest request = Request(server_->host() + "/a/b:1");
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      std::string got;
      EXPECT_TRUE(FetchInto(request, Blob(kDigestA, 2), 0, UINT64_MAX, &got).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(tokens_->requests().size(), 2u);
}

TEST_F(AuthTest, ARegistryThatRefusesEveryTokenIsGivenUp) {
  accepts_ = [](const std::string&) { return false; };
  const auto found = ResolveAs(Password());
  EXPECT_EQ(found.status().code(), Code::kUnauthenticated);
  EXPECT_THAT(found.status().message(), HasSubstr("401 Unauthorized: UNAUTHORIZED: authentication required"));
  EXPECT_LE(tokens_->requests().size(), 2u);
}

TEST_F(AuthTest, Basic) {
  challenge_ = "Basic realm=\"x\"";
  accepts_ = [](const std::string& header) { return header == kBasic; };
  ASSERT_TRUE(ResolveAs(Password()).ok());
  sdk::RegistryCredentials encoded;
  encoded.auth = Base64("user:pass");
  EXPECT_TRUE(ResolveAs(encoded).ok());
  EXPECT_EQ(ResolveAs({}).status().code(), Code::kUnauthenticated);
  sdk::RegistryCredentials wrong = Password();
  wrong.password = "guess-1";
  const auto refused = ResolveAs(wrong);
  EXPECT_EQ(refused.status().code(), Code::kUnauthenticated);
  EXPECT_THAT(refused.status().message(), HasSubstr("the user name or password is refused"));
  EXPECT_THAT(refused.status().message(), Not(HasSubstr("guess-1")));
}

TEST_F(AuthTest, RegistryToken) {
  sdk::RegistryCredentials credentials;
  credentials.registry_token = "token-1";
  ASSERT_TRUE(ResolveAs(credentials).ok());
  EXPECT_EQ(server_->requests().size(), 1u) << "presented at once";
  EXPECT_TRUE(tokens_->requests().empty());
  credentials.registry_token = "expired";
  EXPECT_EQ(ResolveAs(credentials).status().code(), Code::kUnauthenticated);
  EXPECT_TRUE(tokens_->requests().empty());
}

TEST_F(AuthTest, OnlyPullingIsAskedFor) {
  challenge_ =
      Bearer(tokens_->url() + "/token", "repository:proxy/a/b:pull,push registry:catalog:* repository:v/x:push");
  ASSERT_TRUE(ResolveAs(Password()).ok());
  EXPECT_THAT(tokens_->requests()[0].target, HasSubstr("&scope=repository%3Aproxy%2Fa%2Fb%3Apull&account"));
  EXPECT_THAT(PullScopes("", "a/b"), ElementsAre("repository:a/b:pull"));
  EXPECT_THAT(PullScopes("repository:x:delete repository:y:push,pull", "a/b"), ElementsAre("repository:y:pull"));
  EXPECT_THAT(PullScopes("repository:x:delete :pull repository: repository", "a/b"),
              ElementsAre("repository:a/b:pull"));
}

TEST_F(AuthTest, ARealmThatIsNoUrlIsNamed) {
  for (const char* realm : {"", "file:///etc/shadow", "not a url"}) {
    challenge_ = Bearer(realm);
    const auto found = ResolveAs(Password());
    EXPECT_EQ(found.status().code(), Code::kFailedPrecondition) << realm;
    EXPECT_THAT(found.status().message(), HasSubstr("token server"));
  }
}

class TokenServerTest : public AuthTest {
 protected:
  ServedResponse OnToken(const ServedRequest& request) override {
    return respond_ ? respond_(request) : AuthTest::OnToken(request);
  }
  std::function<ServedResponse(const ServedRequest&)> respond_;
};

TEST_F(TokenServerTest, IdentityTokensAreExchangedByPost) {
  sdk::RegistryCredentials credentials;
  credentials.identity_token = "refresh & me";
  respond_ = [](const ServedRequest& request) {
    ServedResponse response;
    response.status = request.method == "POST" ? 200 : 400;
    response.body = R"({"access_token":"token-1"})";
    return response;
  };
  ASSERT_TRUE(ResolveAs(credentials).ok());
  const ServedRequest post = tokens_->requests()[0];
  EXPECT_EQ(post.body,
            "service=the%20registry&grant_type=refresh_token&refresh_token=refresh%20%26%20me&client_id=berth&"
            "scope=repository%3Aa%2Fb%3Apull");
  EXPECT_EQ(post.Header("content-type"), "application/x-www-form-urlencoded");
  EXPECT_EQ(post.target, "/token") << "no secret in a URL";
}

TEST_F(TokenServerTest, WithoutPostTheyAreAPassword) {
  sdk::RegistryCredentials credentials;
  credentials.identity_token = "refresh";
  respond_ = [](const ServedRequest& request) {
    ServedResponse response;
    response.status = request.method == "POST" ? 405 : 200;
    response.body = R"({"token":"token-1"})";
    return response;
  };
  ASSERT_TRUE(ResolveAs(credentials).ok());
  EXPECT_EQ(tokens_->requests()[1].Header("authorization"), "Basic " + Base64(":refresh"));
}

TEST_F(TokenServerTest, ItsRefusalIsTheReason) {
  respond_ = [](const ServedRequest&) {
    ServedResponse response;
    response.status = 401;
    response.body = R"({"details":"incorrect username or password"})";
    return response;
  };
  const auto found = ResolveAs(Password());
  EXPECT_EQ(found.status().code(), Code::kUnauthenticated);
  EXPECT_THAT(found.status().message(), HasSubstr("incorrect username or password"));
}

TEST_F(TokenServerTest, GarbageIsNoToken) {
  for (const std::string& body : {std::string("{"), std::string("[]"), std::string(R"({"token":1})"), std::string("{}"),
                                  std::string(R"({"token":"a\r\nX-Evil: 1"})"), std::string(2 << 20, ' ')}) {
    respond_ = [&](const ServedRequest&) {
      ServedResponse response;
      response.body = body;
      return response;
    };
    EXPECT_FALSE(ResolveAs(Password()).ok()) << body.substr(0, 40);
  }
}

TEST_F(TokenServerTest, ItIsTriedAgain) {
  std::atomic<int> calls{0};
  respond_ = [&](const ServedRequest&) {
    ServedResponse response;
    response.status = ++calls == 1 ? 503 : 200;
    response.body = R"({"token":"token-1"})";
    return response;
  };
  EXPECT_TRUE(ResolveAs(Password()).ok());
  EXPECT_EQ(calls, 2);
}

TEST_F(TokenServerTest, ItsRedirectsGetNoPassword) {
  ScriptedServer elsewhere([](const ServedRequest&) {
    ServedResponse response;
    response.body = R"({"token":"token-1"})";
    return response;
  });
  respond_ = [&](const ServedRequest&) {
    ServedResponse response;
    response.status = 302;
    response.headers = {{"Location", elsewhere.url() + "/other"}};
    return response;
  };
  (void)ResolveAs(Password());
  ASSERT_EQ(elsewhere.requests().size(), 1u);
  EXPECT_EQ(elsewhere.requests()[0].Header("authorization"), "");
}

TEST_F(AuthTest, RedirectsToOtherHostsGetNoCredentials) {
  ScriptedServer elsewhere([](const ServedRequest& request) {
    ServedResponse response;
    response.body = "ab";
    // It would like to see some.
    if (request.target == "/ask") {
      response.status = 401;
      response.headers = {{"WWW-Authenticate", "Basic realm=x"}};
    }
    return response;
  });
  std::string path = "/blob";
  ScriptedServer redirecting([&](const ServedRequest& request) {
    ServedResponse response;
    response.status = 401;
    response.headers = {{"WWW-Authenticate", "Basic realm=x"}};
    if (request.Header("authorization") == kBasic) {
      response.status = 307;
      response.headers = {{"Location", elsewhere.url() + path}};
    }
    return response;
  });
  sdk::RegistryRequest request = Request(redirecting.host() + "/a/b:1");
  request.credentials = Password();
  WriteHosts(redirecting.host(), "server = \"" + redirecting.url() + "\"\n[header]\nx-secret = \"s\"\n");
  std::string got;
  const sdk::Status fetched = FetchInto(request, Blob(kDigestA, 2), 0, UINT64_MAX, &got);
  EXPECT_TRUE(fetched.ok()) << fetched.message();
  EXPECT_EQ(got, "ab");
  EXPECT_EQ(redirecting.requests()[0].Header("x-secret"), "s");
  path = "/ask";
  EXPECT_EQ(FetchInto(request, Blob(kDigestA, 2), 0, UINT64_MAX, &got).code(), Code::kUnauthenticated);
  ASSERT_EQ(elsewhere.requests().size(), 2u);
  for (const ServedRequest& seen : elsewhere.requests()) {
    EXPECT_EQ(seen.Header("authorization"), "");
    EXPECT_EQ(seen.Header("x-secret"), "");
  }
}

TEST_F(AuthTest, AConfiguredHeaderTakesTheirPlace) {
  WriteHosts(server_->host(), "server = \"" + server_->url() + "\"\n[header]\nAuthorization = \"Bearer token-1\"\n");
  ASSERT_TRUE(ResolveAs(Password()).ok());
  EXPECT_EQ(server_->requests().size(), 1u);
}

}  // namespace
}  // namespace berth::registry_oci
