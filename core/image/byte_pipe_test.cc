#include "core/image/byte_pipe.h"

#include <string>
#include <thread>

#include "gtest/gtest.h"

namespace berth {
namespace {

TEST(BytePipe, BytesArriveInOrderThroughASmallBuffer) {
  BytePipe pipe(7);
  std::string sent;
  for (int i = 0; i < 5000; ++i) sent += static_cast<char>(i * 31);
  std::thread writer([&] {
    for (size_t at = 0; at < sent.size(); at += 11)
      EXPECT_TRUE(pipe.Write(absl::string_view(sent).substr(at, 11)).ok());
    pipe.CloseWriter(absl::OkStatus());
  });
  std::string got;
  for (;;) {
    const auto piece = pipe.Read();
    ASSERT_TRUE(piece.ok());
    if (piece->empty()) break;
    got.append(piece->data(), piece->size());
  }
  writer.join();
  EXPECT_EQ(got, sent);
  EXPECT_TRUE(pipe.Read()->empty());
}

TEST(BytePipe, TheReadersEndDecidesWhatTheWriterHears) {
  BytePipe done(4), failed(4);
  done.CloseReader(absl::OkStatus());
  EXPECT_TRUE(done.Write("much more than fits").ok());
  std::thread reader([&] { failed.CloseReader(absl::ResourceExhaustedError("disk full")); });
  EXPECT_TRUE(absl::IsResourceExhausted(failed.Write("much more than fits")));
  reader.join();
}

TEST(BytePipe, TheWritersErrorReachesTheReaderAtOnce) {
  BytePipe pipe(100);
  ASSERT_TRUE(pipe.Write("some").ok());
  pipe.CloseWriter(absl::UnavailableError("connection lost"));
  EXPECT_TRUE(absl::IsUnavailable(pipe.Read().status()));
}

}  // namespace
}  // namespace berth
