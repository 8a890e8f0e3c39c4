// UniqueFd owns one file descriptor. Move-only.
#ifndef BERTH_SDK_UNIQUE_FD_H_
#define BERTH_SDK_UNIQUE_FD_H_

#include <unistd.h>

#include <utility>

namespace berth::sdk {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  explicit operator bool() const { return valid(); }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);  // never retried on EINTR: Linux has closed it already
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace berth::sdk

#endif  // BERTH_SDK_UNIQUE_FD_H_
