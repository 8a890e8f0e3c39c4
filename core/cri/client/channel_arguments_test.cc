#include "core/cri/client/channel_arguments.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/unique_fd.h"
#include "core/cri/client/cri_client.h"

namespace berth {
namespace {

TEST(CriChannelArguments, RepeatEveryStreamAndNothingElse) {
  const grpc::ChannelArguments arguments = CriChannelArguments();
  std::string config;
  const grpc_channel_args args = arguments.c_channel_args();
  for (size_t i = 0; i < args.num_args; ++i) {
    if (std::string(args.args[i].key) == GRPC_ARG_SERVICE_CONFIG) config = args.args[i].value.string;
  }
  const auto* file = cri::VersionRequest::descriptor()->file();
  for (int s = 0; s < file->service_count(); ++s) {
    for (int m = 0; m < file->service(s)->method_count(); ++m) {
      const auto* method = file->service(s)->method(m);
      const std::string name =
          absl::StrCat("{\"service\": \"", method->service()->full_name(), "\", \"method\": \"", method->name(), "\"}");
      EXPECT_EQ(absl::StrContains(config, name), method->server_streaming()) << name;
    }
  }
}

// RFC 9113, section 6.
enum FrameType : uint8_t { kData = 0, kHeaders = 1, kSettings = 4, kPing = 6 };
constexpr uint8_t kAck = 1, kEndStream = 1, kEndHeaders = 4;

struct Frame {
  uint8_t type = 0, flags = 0;
};

// The server's side of a connection, frame by frame.
class BareConnection {
 public:
  explicit BareConnection(UniqueFd socket) : socket_(std::move(socket)) {
    const timeval patience = {20, 0};
    setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  }

  bool ReadPreface() { return !Read(std::strlen("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")).empty(); }

  bool ReadFrame(Frame* frame) {
    const std::string header = Read(9);
    if (header.empty()) return false;
    const auto octet = [&](size_t i) { return static_cast<uint8_t>(header[i]); };
    frame->type = octet(3);
    frame->flags = octet(4);
    const size_t size = size_t{octet(0)} << 16 | size_t{octet(1)} << 8 | octet(2);
    return size == 0 || !Read(size).empty();
  }

  void WriteFrame(FrameType type, uint8_t flags, uint8_t stream, const std::string& payload) {
    std::string frame = {0, 0, static_cast<char>(payload.size()), static_cast<char>(type), static_cast<char>(flags), 0,
                         0, 0, static_cast<char>(stream)};
    frame += payload;
    EXPECT_EQ(send(socket_.get(), frame.data(), frame.size(), MSG_NOSIGNAL), static_cast<ssize_t>(frame.size()));
  }

  // Asks for a sign of life and counts the pings that come before it.
  int PingsUntilItsAnswer() {
    WriteFrame(kPing, 0, 0, "question");
    int pings = 0;
    for (Frame frame; ReadFrame(&frame);) {
      if (frame.type != kPing) continue;
      if ((frame.flags & kAck) != 0) return pings;
      ++pings;
    }
    ADD_FAILURE() << "the client does not answer a ping";
    return pings;
  }

 private:
  std::string Read(size_t size) {
    std::string out(size, '\0');
    for (size_t have = 0; have < size;) {
      const ssize_t n = recv(socket_.get(), out.data() + have, size - have, 0);
      if (n <= 0) return "";
      have += static_cast<size_t>(n);
    }
    return out;
  }

  UniqueFd socket_;
};

// A field that is not to be indexed (RFC 7541, section 6.2.2).
std::string Field(const std::string& name, const std::string& value) {
  return std::string(1, '\0') + static_cast<char>(name.size()) + name + static_cast<char>(value.size()) + value;
}

// What a client writes after its server has answered and closed breaks the connection before the answer is read. Here
// the server does not close, and sees what is written.
TEST(CriChannelArguments, AClientWritesNoPingsWhileItReadsAnAnswer) {
  char directory[] = "/tmp/channel_arguments_test.XXXXXX";
  ASSERT_NE(mkdtemp(directory), nullptr);
  const std::string path = std::string(directory) + "/cri.sock";
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(listener.get(), 1), 0);
  CriClient client(path);
  std::thread asking([&] {
    const auto answer = client.Version(cri::VersionRequest(), absl::Seconds(20));
    EXPECT_TRUE(answer.ok() && answer->runtime_name() == "bare") << answer.status();
  });

  BareConnection connection(UniqueFd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)));
  EXPECT_TRUE(connection.ReadPreface());
  connection.WriteFrame(kSettings, 0, 0, "");
  bool asked = false;
  for (Frame frame; !asked && connection.ReadFrame(&frame);) {
    if (frame.type == kSettings && (frame.flags & kAck) == 0) connection.WriteFrame(kSettings, kAck, 0, "");
    asked = frame.type == kData && (frame.flags & kEndStream) != 0;
  }
  EXPECT_TRUE(asked);
  cri::VersionResponse response;
  response.set_runtime_name("bare");
  const std::string message = response.SerializeAsString();
  const std::string ok = "\x88";  // :status 200
  connection.WriteFrame(kHeaders, kEndHeaders, 1, ok + Field("content-type", "application/grpc"));
  connection.WriteFrame(kData, 0, 1, std::string(4, '\0') + static_cast<char>(message.size()) + message);
  int pings = connection.PingsUntilItsAnswer();
  connection.WriteFrame(kHeaders, kEndHeaders | kEndStream, 1, Field("grpc-status", "0"));
  pings += connection.PingsUntilItsAnswer();
  asking.join();
  EXPECT_EQ(pings, 0);
  unlink(path.c_str());
  rmdir(directory);
}

}  // namespace
}  // namespace berth
