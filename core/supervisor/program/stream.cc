#include "core/supervisor/program/stream.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <utility>

namespace berth::supervisor {
namespace {

// One for all streams: whoever reads hands the bytes on before anybody else can read.
char buffer[64 << 10];

constexpr int kDrainRounds = 64;

}  // namespace

void Stream::Start(Loop* loop, UniqueFd fd, Sink sink, std::function<void()> at_end) {
  SetNonBlocking(fd.get());
  watch_.Stop();
  fd_ = std::move(fd);
  sink_ = std::move(sink);
  at_end_ = std::move(at_end);
  watch_ = Watch(loop, fd_.get(), EPOLLIN, [this](uint32_t) { ReadOnce(); });
}

bool Stream::ReadOnce() {
  if (!fd_) return false;
  ssize_t n = read(fd_.get(), buffer, sizeof(buffer));
  if (n > 0) {
    sink_(std::string_view(buffer, static_cast<size_t>(n)));
    return true;
  }
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  // A pipe's end, or EIO: the last process has closed its side of the terminal.
  std::function<void()> at_end = std::move(at_end_);
  Stop();
  if (at_end) at_end();
  return false;
}

void Stream::Drain() {
  for (int i = 0; i < kDrainRounds && ReadOnce(); ++i) {
  }
}

void Stream::Stop() {
  watch_.Stop();
  fd_.reset();
}

UniqueFd Stream::Release() {
  watch_.Stop();
  return std::move(fd_);
}

void Tail::Add(std::string_view data) {
  if (data.size() >= wire::kTailLimit) {
    text_.assign(data.substr(data.size() - wire::kTailLimit));
    return;
  }
  if (text_.size() + data.size() > wire::kTailLimit) text_.erase(0, text_.size() + data.size() - wire::kTailLimit);
  text_.append(data);
}

std::string Tail::Take() { return std::exchange(text_, std::string()); }

Error MakePipe(Pipe* pipe) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Errno("pipe");
  pipe->read.reset(ends[0]);
  pipe->write.reset(ends[1]);
  return Ok();
}

void SetNonBlocking(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

}  // namespace berth::supervisor
