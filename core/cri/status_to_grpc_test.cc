#include "core/cri/status_to_grpc.h"

#include <gtest/gtest.h>

namespace berth {
namespace {

TEST(StatusToGrpcTest, CodesAreTheSame) {
  EXPECT_TRUE(ToGrpc(absl::OkStatus()).ok());
  EXPECT_EQ(ToGrpc(absl::NotFoundError("x")).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(ToGrpc(absl::UnauthenticatedError("x")).error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(ToGrpc(absl::UnknownError("RegistryUnavailable: x")).error_message(), "RegistryUnavailable: x");
}

TEST(StatusToGrpcTest, MessagesAreOneLineOfUtf8) {
  EXPECT_EQ(MessageForClients("a\nb\tc\x01"), "a b c ");
  EXPECT_EQ(MessageForClients("gr\xC3\xBC\xC3\x9F"), "gr\xC3\xBC\xC3\x9F");
  EXPECT_EQ(MessageForClients("\xF0\x9F\x9A\xA2"), "\xF0\x9F\x9A\xA2");
  // A stray byte, an overlong slash, a surrogate, a sequence cut short, one beyond Unicode.
  for (const char* bad : {"\xFF", "\xC0\xAF", "\xED\xA0\x80", "\xE2\x82", "\xF4\x90\x80\x80"}) {
    const std::string out = MessageForClients(std::string("<") + bad + ">");
    EXPECT_EQ(out.substr(0, 4), "<\xEF\xBF\xBD") << bad;
    EXPECT_EQ(out.back(), '>');
  }
  EXPECT_EQ(MessageForClients(""), "");
}

TEST(StatusToGrpcTest, LongMessagesAreCutBetweenCharacters) {
  EXPECT_EQ(MessageForClients(std::string(1 << 20, 'x')), std::string(6997, 'x') + "...");
  // Percent signs and everything beyond ASCII take three bytes for each on the wire.
  EXPECT_LE(MessageForClients(std::string(1 << 20, '%')).size(), 7000u / 3 + 3);
  std::string ships;
  for (int i = 0; i < 10000; ++i) ships += "\xF0\x9F\x9A\xA2";
  const std::string cut = MessageForClients(ships);
  EXPECT_EQ((cut.size() - 3) % 4, 0u);
  EXPECT_EQ(cut.substr(cut.size() - 3), "...");
}

}  // namespace
}  // namespace berth
