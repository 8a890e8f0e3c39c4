#include "core/cri/guarded_service.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/base/unique_fd.h"
#include "core/cri/client/cri_client.h"
#include "core/cri/server.h"
#include "proto/cri/v1/api.grpc.pb.h"

namespace berth {
namespace {

class OnlyVersion : public GuardedService<cri::RuntimeService, OnlyVersion> {
 public:
  explicit OnlyVersion(const CallRoute& route) : GuardedService(route), route_(route) {
    Guard("Version", &OnlyVersion::Version);
  }
  grpc::ServerUnaryReactor* Version(grpc::CallbackServerContext*, const cri::VersionRequest*,
                                    cri::VersionResponse* response) override {
    auto call = UnaryCall::Start(route_.calls);
    call->Answer(absl::OkStatus(), [&] { response->set_runtime_name("guarded"); });
    return call.get();
  }

 private:
  const CallRoute route_;
};

// RFC 9113, section 4.1.
std::string Frame(uint8_t type, uint8_t flags, uint8_t stream, const std::string& payload) {
  std::string frame(9, '\0');
  frame[2] = static_cast<char>(payload.size());
  frame[3] = static_cast<char>(type);
  frame[4] = static_cast<char>(flags);
  frame[8] = static_cast<char>(stream);
  return frame + payload;
}
std::string Settings() { return Frame(4, 0, 0, ""); }
std::string EndHeaders(uint8_t stream, const std::string& fields) { return Frame(1, 4, stream, fields); }
std::string Cancel(uint8_t stream) { return Frame(3, 0, stream, std::string("\0\0\0\x08", 4)); }

// Fields that are not to be indexed (RFC 7541, section 6.2.2), of a known name by its number or of another one.
std::string Text(const std::string& text) { return static_cast<char>(text.size()) + text; }
std::string Field(uint8_t name, const std::string& value) { return static_cast<char>(name) + Text(value); }
std::string Field(const std::string& name, const std::string& value) {
  return std::string(1, '\0') + Text(name) + Text(value);
}

std::string HeadOf(const std::string& method) {
  constexpr uint8_t kAuthority = 1, kPath = 4;
  const std::string post_over_http = "\x83\x86";
  return post_over_http + Field(kPath, method) + Field(kAuthority, "localhost") +
         Field("content-type", "application/grpc") + Field("te", "trailers");
}

TEST(GuardedServiceTest, AClientMayGiveUpBeforeItHasSentTheRequest) {
  char directory[] = "/tmp/guarded_service_test.XXXXXX";
  ASSERT_NE(mkdtemp(directory), nullptr);
  OpenCalls calls;
  RequestBudget budget(100, 1 << 20);
  CallGate gate;
  CriServerOptions options;
  options.socket = std::string(directory) + "/cri.sock";
  options.calls = &calls;
  Relay relay(options.socket);
  OnlyVersion runtime({&calls, &budget, &gate, &relay});
  options.services = {&runtime};
  auto server = CriServer::Start(options);
  ASSERT_TRUE(server.ok()) << server.status();

  std::string text = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Settings();
  for (uint8_t stream = 1; stream < 40; stream += 2) {
    text += EndHeaders(stream, HeadOf("/runtime.v1.RuntimeService/Version")) + Cancel(stream);
  }
  UniqueFd client(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {AF_UNIX, {}};
  options.socket.copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(send(client.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));

  for (int i = 0; i < 20; ++i) {
    const auto answer = CriClient(options.socket).Version(cri::VersionRequest());
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->runtime_name(), "guarded");
  }
  client.reset();
  server->reset();
  rmdir(directory);
}

}  // namespace
}  // namespace berth
