// Signs of life for the service manager, given only while the daemon's parts answer.
#ifndef BERTH_CORE_DAEMON_WATCHDOG_H_
#define BERTH_CORE_DAEMON_WATCHDOG_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <thread>

namespace berth {

class Watchdog {
 public:
  // About twice in `interval_ns` it calls `ask`, which has the parts do something and calls `answered` once they have;
  // then, and only then, it calls `alive`. A part that does not answer is not asked again until it has.
  using Ask = std::function<void(std::function<void()> answered)>;
  Watchdog(int64_t interval_ns, Ask ask, std::function<void()> alive);
  // `answered` may still be called after that.
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  struct Shared;
  void Run();

  const int64_t pause_ns_;
  const Ask ask_;
  const std::function<void()> alive_;
  const std::shared_ptr<Shared> shared_;
  std::thread thread_;
};

}  // namespace berth

#endif  // BERTH_CORE_DAEMON_WATCHDOG_H_
