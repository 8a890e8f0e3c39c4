// Messages and frames: what is well formed comes back as it was, anything else is refused without a crash, a leak of
// descriptors or a large allocation.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>

#include "core/supervisor/wire/frame.h"
#include "gtest/gtest.h"

namespace berth::wire {
namespace {

Run SampleRun() {
  Run run;
  run.purpose = kExec;
  run.container_id = "c1";
  run.exec_id = "e1";
  run.pid_file = "/run/pid";
  run.argv = {"/usr/bin/crun", "exec", ""};
  run.env = {"A=1"};
  run.timeout_ns = 5;
  return run;
}

PrepareContainer SamplePrepare() {
  PrepareContainer prepare;
  prepare.id = "c1";
  prepare.rootfs = "/b/rootfs";
  prepare.mounts = {{"overlay", "overlay", "", {"lowerdir=1:2", "ro"}}, {"", "/v", "data", {"rbind"}}};
  prepare.terminal = true;
  return prepare;
}

struct SocketPair {
  SocketPair() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    a.reset(ends[0]);
    b.reset(ends[1]);
  }
  UniqueFd a, b;
};

int NextDescriptor() {
  UniqueFd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
  return fd.get();
}

TEST(CodecTest, RoundTrip) {
  wire::Run run;
  ASSERT_TRUE(Decode(Encode(SampleRun()), &run));
  EXPECT_EQ(run.argv, SampleRun().argv);
  EXPECT_EQ(run.timeout_ns, 5);
  PrepareContainer prepare;
  ASSERT_TRUE(Decode(Encode(SamplePrepare()), &prepare));
  ASSERT_EQ(prepare.mounts.size(), 2u);
  EXPECT_EQ(prepare.mounts[0].options[1], "ro");
  EXPECT_TRUE(prepare.terminal);
  EXPECT_FALSE(prepare.stdin_open);
}

TEST(CodecTest, EveryPrefixAndExtensionIsRefused) {
  std::string bytes = Encode(SamplePrepare());
  for (size_t size = 0; size < bytes.size(); ++size) {
    PrepareContainer m;
    EXPECT_FALSE(Decode(bytes.substr(0, size), &m)) << size;
  }
  PrepareContainer m;
  EXPECT_FALSE(Decode(bytes + '\0', &m));
}

TEST(CodecTest, CountsBeyondTheBodyAreRefused) {
  std::string bytes = Encode(Target{"abc", ""});
  bytes[0] = bytes[1] = bytes[2] = bytes[3] = '\xff';
  Target target;
  EXPECT_FALSE(Decode(bytes, &target));
  ListReply list;
  EXPECT_FALSE(Decode(std::string("\xff\xff\xff\x7f", 4), &list));
}

template <class M>
void DecodeJunk(const std::string& bytes) {
  M m;
  if (Decode(bytes, &m)) {
    EXPECT_EQ(Encode(m), bytes) << "what is accepted has one form";
  }
}

// Seeds are fixed: the same bytes each time.
TEST(CodecTest, MutatedMessages) {
  std::mt19937 random(4711);
  const std::string seeds[] = {Encode(SampleRun()), Encode(SamplePrepare()), Encode(Exit{1, "c", "e", 2, 3}),
                               Encode(ListReply{{{"c", "", 2, 7, 0, 0, 0}}}), Encode(HelloReply{1, "p", "b", 1, 2})};
  for (int i = 0; i < 40000; ++i) {
    std::string bytes = seeds[random() % std::size(seeds)];
    for (unsigned n = random() % 4 + 1; n > 0; --n) {
      size_t at = random() % bytes.size();
      switch (random() % 3) {
        case 0:
          bytes[at] = static_cast<char>(random());
          break;
        case 1:
          bytes.insert(at, 1, static_cast<char>(random()));
          break;
        case 2:
          bytes.resize(std::max<size_t>(at, 1));
          break;
      }
    }
    DecodeJunk<wire::Run>(bytes);
    DecodeJunk<PrepareContainer>(bytes);
    DecodeJunk<Exit>(bytes);
    DecodeJunk<ListReply>(bytes);
    DecodeJunk<HelloReply>(bytes);
    DecodeJunk<RunReply>(bytes);
    DecodeJunk<LaunchSpec>(bytes);
    DecodeJunk<Signal>(bytes);
  }
}

TEST(FrameTest, SmallAndLargeBodiesTravel) {
  SocketPair pair;
  for (size_t size : {size_t{0}, size_t{10}, kMaxInline, kMaxInline + 1, size_t{1} << 20}) {
    Frame frame = MakeFrame(Type::kReply, 77, ErrorReply{std::string(size, 'x')});
    frame.code = kNotFound;
    frame.descriptors.emplace_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
    Packet packet;
    ASSERT_TRUE(Pack(std::move(frame), &packet));
    ASSERT_EQ(SendPacket(pair.a.get(), packet), 0);
    Frame got;
    ASSERT_EQ(ReceiveFrame(pair.b.get(), &got), Received::kFrame) << size;
    EXPECT_EQ(got.request, 77u);
    EXPECT_EQ(got.code, static_cast<uint32_t>(kNotFound));
    ASSERT_EQ(got.descriptors.size(), 1u);
    ErrorReply reply;
    ASSERT_TRUE(Decode(got.body, &reply));
    EXPECT_EQ(reply.text.size(), size);
  }
  Frame none;
  EXPECT_EQ(ReceiveFrame(pair.b.get(), &none), Received::kNothing);
  pair.a.reset();
  EXPECT_EQ(ReceiveFrame(pair.b.get(), &none), Received::kEnd);
}

TEST(FrameTest, AnEmptyPacketIsAnEnd) {
  SocketPair pair;
  ASSERT_EQ(send(pair.a.get(), "", 0, 0), 0);
  Frame none;
  EXPECT_EQ(ReceiveFrame(pair.b.get(), &none), Received::kEnd);
}

TEST(FrameTest, APeerThatLeavesWhatItWasSentIsAnEnd) {
  SocketPair pair;
  Packet packet;
  ASSERT_TRUE(Pack(MakeFrame(Type::kReply, 1, Empty()), &packet));
  ASSERT_EQ(SendPacket(pair.a.get(), packet), 0);
  pair.b.reset();
  Frame none;
  EXPECT_EQ(ReceiveFrame(pair.a.get(), &none), Received::kEnd) << "ECONNRESET";
}

TEST(FrameTest, DescriptorsAreTakenOnce) {
  SocketPair pair;
  const UniqueFd pipe_end(open("/dev/null", O_RDONLY | O_CLOEXEC));
  {
    Frame frame = MakeFrame(Type::kReply, 1, Empty());
    frame.descriptors.emplace_back(dup(pipe_end.get()));
    Packet packet;
    ASSERT_TRUE(Pack(std::move(frame), &packet));
    ASSERT_EQ(SendPacket(pair.a.get(), packet), 0);
  }
  const UniqueFd lowest(dup(pipe_end.get()));
  Frame got;
  ASSERT_EQ(ReceiveFrame(pair.b.get(), &got), Received::kFrame);
  ASSERT_EQ(got.descriptors.size(), 1u);
  const UniqueFd next(dup(pipe_end.get()));
  EXPECT_EQ(got.descriptors[0].get(), lowest.get() + 1);
  EXPECT_EQ(next.get(), lowest.get() + 2);
}

TEST(FrameTest, TooLargeIsNotSent) {
  Packet packet;
  EXPECT_FALSE(Pack(MakeFrame(Type::kReply, 1, ErrorReply{std::string(kMaxBody, 'x')}), &packet));
}

TEST(FrameTest, MalformedPacketsAreRefusedAndTheirDescriptorsClosed) {
  int before = NextDescriptor();
  Packet good;
  ASSERT_TRUE(Pack(MakeFrame(Type::kRun, 1, SampleRun()), &good));
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = good.bytes;
    bytes[random() % sizeof(Header)] = static_cast<char>(random());
    if (random() % 4 == 0) bytes.resize(random() % bytes.size());
    std::vector<UniqueFd> descriptors;
    for (unsigned n = random() % 3; n > 0; --n) descriptors.emplace_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
    Frame frame;
    Unpack(bytes, std::move(descriptors), &frame);
  }
  EXPECT_EQ(NextDescriptor(), before);
}

TEST(FrameTest, BodiesInUnsealedOrWrongMemfdsAreRefused) {
  Header header;
  header.in_memfd = 1;
  header.size = 4;
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
  auto unpack = [&](int seals, size_t length) {
    UniqueFd memfd(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    EXPECT_EQ(ftruncate(memfd.get(), static_cast<off_t>(length)), 0);
    EXPECT_EQ(fcntl(memfd.get(), F_ADD_SEALS, seals), 0);
    std::vector<UniqueFd> descriptors;
    descriptors.push_back(std::move(memfd));
    Frame frame;
    return Unpack(bytes, std::move(descriptors), &frame);
  };
  constexpr int kAll = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  EXPECT_TRUE(unpack(kAll, 4));
  EXPECT_FALSE(unpack(kAll, 5));
  EXPECT_FALSE(unpack(kAll & ~F_SEAL_WRITE, 4));
  EXPECT_FALSE(unpack(kAll & ~F_SEAL_SHRINK, 4));
  std::vector<UniqueFd> pipe_end;
  pipe_end.emplace_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
  Frame frame;
  EXPECT_FALSE(Unpack(bytes, std::move(pipe_end), &frame));
}

TEST(FrameTest, TruncatedPacketIsMalformed) {
  SocketPair pair;
  int size = 1 << 20;
  setsockopt(pair.a.get(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
  setsockopt(pair.a.get(), SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
  std::string large(kMaxPacket + 1, 'x');
  ASSERT_EQ(send(pair.a.get(), large.data(), large.size(), 0), static_cast<ssize_t>(large.size()));
  Frame frame;
  EXPECT_EQ(ReceiveFrame(pair.b.get(), &frame), Received::kMalformed);
}

TEST(NameTest, OnlyPlainNames) {
  EXPECT_TRUE(IsName("abc-DEF_09"));
  for (const char* bad : {"", ".", "..", "a/b", "a.b", "a b", "\xff"}) EXPECT_FALSE(IsName(bad)) << bad;
  EXPECT_TRUE(IsName(std::string(128, 'a')));
  EXPECT_FALSE(IsName(std::string(129, 'a')));
}

}  // namespace
}  // namespace berth::wire
