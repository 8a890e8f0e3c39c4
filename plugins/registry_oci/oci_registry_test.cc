// OciRegistry against servers that behave, and against those that do not.
#include "plugins/registry_oci/oci_registry.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <utility>

#include "plugins/registry_oci/registry_test_base.h"

namespace berth::registry_oci {
namespace {

using sdk::Code;
using testing::HasSubstr;
using testing::StartsWith;

const std::string kContent = "0123456789abcdefghijklmnopqrstuvwxyz";

// What the server answers; a test may change it while a connection of the step before is still served.
class Script {
 public:
  explicit Script(ScriptedServer::Handler handler) : handler_(std::move(handler)) {}
  Script& operator=(ScriptedServer::Handler handler) {
    const std::lock_guard<std::mutex> lock(mutex_);
    handler_ = std::move(handler);
    return *this;
  }
  ServedResponse operator()(const ServedRequest& request) const {
    ScriptedServer::Handler handler;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      handler = handler_;
    }
    return handler(request);
  }

 private:
  mutable std::mutex mutex_;
  ScriptedServer::Handler handler_;
};

// Serves kContent under every name, as each test wants it.
class OciRegistryTest : public RegistryTestBase {
 protected:
  OciRegistryTest() : server_([this](const ServedRequest& request) { return respond_(request); }) {}

  static ServedResponse Whole(const ServedRequest&) {
    ServedResponse response;
    response.headers = {{"Content-Type", kManifestType}, {"Docker-Content-Digest", kDigestA}};
    response.body = kContent;
    return response;
  }
  // As a good server: 206 for "bytes=N-M".
  static ServedResponse Ranged(const ServedRequest& request) {
    ServedResponse response = Whole(request);
    const std::string range = request.Header("range");
    if (range.empty()) return response;
    const size_t begin = std::stoul(range.substr(6)), end = std::stoul(range.substr(range.find('-') + 1));
    response.status = 206;
    response.headers.emplace_back("Content-Range",
                                  "bytes " + std::to_string(begin) + "-" + std::to_string(end) + "/36");
    response.body = kContent.substr(begin, end - begin + 1);
    return response;
  }
  sdk::Status Fetch(std::string* got, uint64_t offset = 0, uint64_t length = UINT64_MAX) {
    return FetchInto(Request(server_.host() + "/a/b:1"), Blob(kDigestA, kContent.size()), offset, length, got);
  }
  // As the host does: goes on where it broke.
  sdk::Status FetchWithResume(std::string* got, int attempts) {
    sdk::Status status;
    for (; attempts > 0; --attempts) {
      status = Fetch(got, got->size());
      if (status.code() != Code::kUnavailable) return status;
    }
    return status;
  }
  sdk::Result<sdk::ContentDescriptor> Resolve() { return RegistryTestBase::Resolve(server_.host() + "/a/b:1"); }

  Script respond_{&Ranged};
  ScriptedServer server_;
};

TEST_F(OciRegistryTest, AManifestByTag) {
  const auto found = Resolve();
  ASSERT_TRUE(found.ok()) << found.status().message();
  EXPECT_EQ(found->data, kContent);
  EXPECT_EQ(found->size, kContent.size());
  EXPECT_EQ(found->digest, kDigestA);
  EXPECT_EQ(found->media_type, kManifestType);
  const ServedRequest request = server_.requests()[0];
  EXPECT_EQ(request.method + " " + request.target, "GET /v2/a/b/manifests/1");
  EXPECT_THAT(request.Header("accept"), HasSubstr("application/vnd.docker.distribution.manifest.list.v2+json"));
  EXPECT_EQ(request.Header("accept-encoding"), "");
}

TEST_F(OciRegistryTest, AManifestByDigestIsWhatWasAskedFor) {
  const std::string other = "sha256:" + std::string(64, 'b');
  const auto found = RegistryTestBase::Resolve(server_.host() + "/a/b@" + other);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->digest, other) << "whatever the registry says: the host compares it";
}

TEST_F(OciRegistryTest, GarbageInHeadersIsDropped) {
  respond_ = [](const ServedRequest&) {
    ServedResponse response;
    response.headers = {{"Content-Type", "text/plain; charset=utf-8"}, {"Docker-Content-Digest", "sha256:../../x"}};
    response.body = "{}";
    return response;
  };
  const auto found = Resolve();
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->digest, "");
  EXPECT_EQ(found->media_type, "");
}

TEST_F(OciRegistryTest, AnswersHaveTheirCodes) {
  const std::vector<std::pair<int, Code>> cases = {{400, Code::kFailedPrecondition}, {401, Code::kUnauthenticated},
                                                   {403, Code::kPermissionDenied},   {404, Code::kNotFound},
                                                   {405, Code::kFailedPrecondition}, {304, Code::kFailedPrecondition},
                                                   {302, Code::kFailedPrecondition}};
  for (const auto& [status, code] : cases) {
    respond_ = [status = status](const ServedRequest&) {
      ServedResponse response;
      response.status = status;
      if (status >= 400) response.body = R"({"errors":[{"code":"WHY","message":"because\nof\u0007it"}]})";
      return response;
    };
    const int before = static_cast<int>(server_.requests().size());
    const auto found = Resolve();
    EXPECT_EQ(found.status().code(), code) << status << ": " << found.status().message();
    if (status >= 400) {
      EXPECT_THAT(found.status().message(), HasSubstr("WHY: because of?it"));
    }
    EXPECT_EQ(static_cast<int>(server_.requests().size()), before + 1) << status << ": another try makes no sense";
  }
}

TEST_F(OciRegistryTest, WhatMayPassIsTriedAgain) {
  for (const int status : {408, 429, 500, 502, 503, 504}) {
    std::atomic<int> calls{0};
    respond_ = [&](const ServedRequest& request) {
      if (++calls == 3) return Whole(request);
      ServedResponse response;
      response.status = status;
      return response;
    };
    EXPECT_TRUE(Resolve().ok()) << status;
    EXPECT_EQ(calls, 3);
  }
}

TEST_F(OciRegistryTest, RetriesEnd) {
  respond_ = [](const ServedRequest&) {
    ServedResponse response;
    response.status = 503;
    return response;
  };
  const auto found = Resolve();
  EXPECT_EQ(found.status().code(), Code::kUnavailable);
  EXPECT_THAT(found.status().message(), HasSubstr("503 Service Unavailable"));
  EXPECT_EQ(server_.requests().size(), 3u);
}

TEST_F(OciRegistryTest, RetryAfterIsObeyedOrGivenUp) {
  std::atomic<int> calls{0};
  std::string pause = "1";
  respond_ = [&](const ServedRequest& request) {
    if (++calls == 2) return Whole(request);
    ServedResponse response;
    response.status = 429;
    response.headers = {{"Retry-After", pause}};
    return response;
  };
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(Resolve().ok());
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
  for (const char* too_long : {"3600", "99999999999999999999", "Fri, 31 Dec 2099 23:59:59 GMT"}) {
    calls = 0;
    pause = too_long;
    EXPECT_EQ(Resolve().status().code(), Code::kUnavailable);
    EXPECT_EQ(calls, 1) << too_long;
  }
}

TEST_F(OciRegistryTest, RetryAfterOfAnyForm) {
  EXPECT_EQ(RetryAfterMs(""), 0);
  EXPECT_EQ(RetryAfterMs("2"), 2000);
  EXPECT_EQ(RetryAfterMs("-2"), 0);
  EXPECT_EQ(RetryAfterMs("soon"), 0);
  EXPECT_EQ(RetryAfterMs("Fri, 31 Dec 1999 23:59:59 GMT"), 0);
  EXPECT_EQ(RetryAfterMs(std::string(100, '9')), 0);
}

TEST_F(OciRegistryTest, ManifestsCutAtEveryByteAreFetchedAgain) {
  const std::string whole = "HTTP/1.1 200 X\r\nContent-Type: " + std::string(kManifestType) +
                            "\r\nDocker-Content-Digest: " + kDigestA + "\r\nContent-Length: 36\r\n\r\n" + kContent;
  for (size_t cut = 0; cut < whole.size(); ++cut) {
    std::atomic<int> calls{0};
    respond_ = [&](const ServedRequest& request) {
      ServedResponse response = Whole(request);
      if (++calls == 1) response.cut_after = static_cast<int64_t>(cut);
      return response;
    };
    const auto found = Resolve();
    ASSERT_TRUE(found.ok()) << cut << ": " << found.status().message();
    ASSERT_EQ(found->data, kContent) << cut;
  }
}

TEST_F(OciRegistryTest, BlobsCutAtEveryByteGoOnThere) {
  for (int64_t cut = 0; cut < 140; ++cut) {
    std::atomic<int> calls{0};
    respond_ = [&](const ServedRequest& request) {
      ServedResponse response = Ranged(request);
      if (++calls == 1) response.cut_after = cut;
      return response;
    };
    std::string got;
    const sdk::Status status = FetchWithResume(&got, 3);
    ASSERT_TRUE(status.ok()) << cut << ": " << status.message();
    ASSERT_EQ(got, kContent) << cut;
  }
}

TEST_F(OciRegistryTest, AServerThatIgnoresRangesIsSkippedThrough) {
  respond_ = &Whole;
  std::string got;
  ASSERT_TRUE(Fetch(&got, 10).ok());
  EXPECT_EQ(got, kContent.substr(10));
  got.clear();
  ASSERT_TRUE(Fetch(&got, 10, 5).ok());
  EXPECT_EQ(got, kContent.substr(10, 5));
}

TEST_F(OciRegistryTest, OtherRangesAreRefused) {
  for (const char* range : {"bytes 11-35/36", "bytes */36", "lines 10-35", "", "bytes -1"}) {
    respond_ = [&](const ServedRequest&) {
      ServedResponse response;
      response.status = 206;
      response.headers = {{"Content-Range", range}};
      response.body = kContent;
      return response;
    };
    std::string got;
    EXPECT_EQ(Fetch(&got, 10).code(), Code::kFailedPrecondition) << range;
    EXPECT_EQ(got, "");
  }
}

TEST_F(OciRegistryTest, MoreIsCutAndLessIsUnavailable) {
  respond_ = [](const ServedRequest& request) {
    ServedResponse response = Whole(request);
    response.body += std::string(1 << 20, 'x');
    return response;
  };
  std::string got;
  EXPECT_TRUE(Fetch(&got).ok());
  EXPECT_EQ(got, kContent);
  respond_ = [](const ServedRequest& request) {
    ServedResponse response = Whole(request);
    response.body.pop_back();
    return response;
  };
  got.clear();
  EXPECT_EQ(Fetch(&got).code(), Code::kUnavailable);
  EXPECT_EQ(got, kContent.substr(0, 35));
}

TEST_F(OciRegistryTest, RangesBeyondTheEndAreNotAskedFor) {
  std::string got;
  EXPECT_EQ(Fetch(&got, 37).code(), Code::kOutOfRange);
  EXPECT_EQ(Fetch(&got, 35, 2).code(), Code::kOutOfRange);
  EXPECT_TRUE(Fetch(&got, 36).ok());
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(OciRegistryTest, StallsAndDripsAreGivenUp) {
  options_.retries = 0;
  options_.http.stall_ms = 300;
  respond_ = [](const ServedRequest&) {
    ServedResponse response;
    response.hang = true;
    return response;
  };
  EXPECT_THAT(Resolve().status().message(), HasSubstr("stalls: 0 bytes"));
  respond_ = [](const ServedRequest& request) {
    ServedResponse response = Whole(request);
    response.body_size = 1000;
    response.body.resize(1000, 'x');
    response.drip_ms = 20;
    return response;
  };
  const auto found = Resolve();
  EXPECT_EQ(found.status().code(), Code::kUnavailable);
  EXPECT_THAT(found.status().message(), HasSubstr("stalls"));
}

TEST_F(OciRegistryTest, ASlowReceiverIsNoStall) {
  options_.http.stall_ms = 300;
  respond_ = [](const ServedRequest& request) {
    ServedResponse response = Whole(request);
    response.body = std::string(600 << 10, 'x');
    return response;
  };
  size_t size = 0;
  const sdk::Status status = registry().Fetch(sdk::Call(), Request(server_.host() + "/a/b:1"),
                                              Blob(kDigestA, 600 << 10), 0, UINT64_MAX, [&](std::string_view data) {
                                                if (size == 0)
                                                  std::this_thread::sleep_for(std::chrono::milliseconds(800));
                                                size += data.size();
                                                return sdk::Status();
                                              });
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(size, 600u << 10);
}

TEST_F(OciRegistryTest, HugeManifestsAreRefused) {
  respond_ = [](const ServedRequest& request) {
    ServedResponse response = Whole(request);
    response.body_size = 100 << 20;
    return response;
  };
  EXPECT_EQ(Resolve().status().code(), Code::kInvalidArgument);
  EXPECT_EQ(server_.requests().size(), 1u);
  ServedResponse endless;
  endless.raw = "HTTP/1.1 200 OK\r\n\r\n" + std::string(16 << 20, ' ');  // of unknown length
  respond_ = [&](const ServedRequest&) { return endless; };
  const auto found = Resolve();
  EXPECT_EQ(found.status().code(), Code::kInvalidArgument);
  EXPECT_THAT(found.status().message(), HasSubstr("larger than 4 MiB"));
}

TEST_F(OciRegistryTest, HugeHeadersAndErrorsAreCut) {
  options_.retries = 0;
  respond_ = [](const ServedRequest&) {
    ServedResponse response;
    for (int i = 0; i < 10'000; ++i)
      response.headers.emplace_back("X-Header-" + std::to_string(i), std::string(50, 'x'));
    return response;
  };
  EXPECT_FALSE(Resolve().ok());
  ServedResponse endless;
  endless.raw = "HTTP/1.1 404 Not Found\r\n\r\n" + std::string(16 << 20, ' ');
  respond_ = [&](const ServedRequest&) { return endless; };
  EXPECT_EQ(Resolve().status().code(), Code::kNotFound);
}

TEST_F(OciRegistryTest, WhatIsNotHttpIsAnError) {
  for (const char* raw : {"SSH-2.0-OpenSSH_9.2\r\n", "\r\n\r\n", "HTTP/9.9 abc\r\n\r\n", "{}",
                          "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
                          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
    respond_ = [&](const ServedRequest&) {
      ServedResponse response;
      response.raw = raw;
      return response;
    };
    EXPECT_FALSE(Resolve().ok()) << raw;
  }
}

TEST_F(OciRegistryTest, RedirectsAreFollowedTenTimes) {
  std::atomic<int> left{10};
  respond_ = [&](const ServedRequest& request) {
    if (left-- == 0) return Whole(request);
    ServedResponse response;
    response.status = 302;
    response.headers = {{"Location", "/again?" + std::to_string(left)}};
    return response;
  };
  EXPECT_TRUE(Resolve().ok());
  left = 1'000'000;
  const auto found = Resolve();
  EXPECT_EQ(found.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(found.status().message(), HasSubstr("more than ten redirects"));
}

TEST_F(OciRegistryTest, RedirectsLeaveNeitherHttpNorTheNetwork) {
  for (const char* location : {"file:///etc/passwd", "ftp://a/b", "gopher://x", "http://u:p@127.0.0.1/"}) {
    respond_ = [&](const ServedRequest&) {
      ServedResponse response;
      response.status = 307;
      response.headers = {{"Location", location}};
      return response;
    };
    EXPECT_EQ(Resolve().status().code(), Code::kFailedPrecondition) << location;
  }
}

TEST_F(OciRegistryTest, ConnectionsAreUsedAgain) {
  ASSERT_TRUE(Resolve().ok());
  std::string got;
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Fetch(&got).ok());
  const auto requests = server_.requests();
  ASSERT_EQ(requests.size(), 6u);
  for (const ServedRequest& request : requests) EXPECT_EQ(request.connection, requests[0].connection);
}

TEST_F(OciRegistryTest, ACancelledCallEndsAtOnce) {
  options_.http.stall_ms = 60'000;
  respond_ = [](const ServedRequest&) {
    ServedResponse response;
    response.hang = true;
    return response;
  };
  const int cancel = eventfd(0, EFD_CLOEXEC);
  sdk::Call call;
  call.cancel_fd = cancel;
  std::thread canceller([&] {
    while (server_.requests().empty()) std::this_thread::yield();
    eventfd_write(cancel, 1);
  });
  EXPECT_EQ(registry().Resolve(call, Request(server_.host() + "/a/b:1")).status().code(), Code::kCancelled);
  canceller.join();
  close(cancel);
}

TEST_F(OciRegistryTest, ASinksErrorIsReturnedAsItIs) {
  int calls = 0;
  const sdk::Status status = registry().Fetch(sdk::Call(), Request(server_.host() + "/a/b:1"),
                                              Blob(kDigestA, kContent.size()), 0, UINT64_MAX, [&](std::string_view) {
                                                ++calls;
                                                return sdk::Unavailable("the disk sleeps");
                                              });
  EXPECT_EQ(status.message(), "the disk sleeps");
  EXPECT_EQ(calls, 1);
}

TEST_F(OciRegistryTest, NobodyThere) {
  std::string host;
  {
    ScriptedServer gone(&Whole);
    host = gone.host();
  }
  EXPECT_EQ(RegistryTestBase::Resolve(host + "/a/b:1").status().code(), Code::kUnavailable);
}

}  // namespace
}  // namespace berth::registry_oci
