// Receives a terminal's master from the executor (runc and crun: --console-socket).
#ifndef BERTH_CORE_SUPERVISOR_PROGRAM_CONSOLE_H_
#define BERTH_CORE_SUPERVISOR_PROGRAM_CONSOLE_H_

#include <string>

#include "core/base/unique_fd.h"
#include "core/supervisor/program/sys.h"

namespace berth::supervisor {

class Console {
 public:
  Console() = default;
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;
  ~Console() { Close(); }

  // Listens at `directory`/tty-N. The directory is reached through `directory_fd`, whatever the length of its name.
  Error Listen(int directory_fd, const std::string& directory);
  // Once the executor's command has ended: the master it sent. It connected and sent before it ended, so nothing is
  // waited for. The socket is removed.
  Error Take(UniqueFd* master);
  void Close();

  const std::string& path() const { return path_; }

 private:
  int directory_fd_ = -1;  // borrowed, lives as long as the program
  std::string name_, path_;
  UniqueFd listener_;
};

}  // namespace berth::supervisor

#endif  // BERTH_CORE_SUPERVISOR_PROGRAM_CONSOLE_H_
