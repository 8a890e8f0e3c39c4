// One output of a container or command, read as it comes and never held up.
#ifndef BERTH_CORE_SUPERVISOR_PROGRAM_STREAM_H_
#define BERTH_CORE_SUPERVISOR_PROGRAM_STREAM_H_

#include <functional>
#include <string>
#include <string_view>

#include "core/base/unique_fd.h"
#include "core/supervisor/program/loop.h"
#include "core/supervisor/program/sys.h"

namespace berth::supervisor {

class Stream {
 public:
  using Sink = std::function<void(std::string_view)>;

  // Reads `fd` (a pipe or a pty master) from now on. Not movable afterwards: the loop knows its address.
  void Start(Loop* loop, UniqueFd fd, Sink sink, std::function<void()> at_end = nullptr);
  void SetSink(Sink sink) { sink_ = std::move(sink); }
  // Takes what is there now; a writer that never stops is left after a while.
  void Drain();
  void Stop();
  // Stops reading and gives the descriptor back.
  UniqueFd Release();
  int fd() const { return fd_.get(); }

 private:
  // False when there is nothing now or never again.
  bool ReadOnce();

  UniqueFd fd_;
  Sink sink_;
  std::function<void()> at_end_;
  Watch watch_;
};

// The end of what came.
class Tail {
 public:
  void Add(std::string_view data);
  std::string Take();

 private:
  std::string text_;
};

// Both ends O_CLOEXEC and blocking.
struct Pipe {
  UniqueFd read, write;
};
Error MakePipe(Pipe* pipe);
void SetNonBlocking(int fd);

}  // namespace berth::supervisor

#endif  // BERTH_CORE_SUPERVISOR_PROGRAM_STREAM_H_
