#include "core/image/byte_pipe.h"

#include <algorithm>
#include <cstring>

namespace berth {

absl::Status BytePipe::Write(absl::string_view data) {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!data.empty()) {
    changed_.wait(lock, [&] { return reader_closed_ || size_ < buffer_.size(); });
    if (reader_closed_) return reader_status_;
    const size_t at = (begin_ + size_) % buffer_.size();
    const size_t room = std::min(buffer_.size() - size_, buffer_.size() - at);
    const size_t n = std::min(room, data.size());
    // Unlocked: this part of the buffer is the writer's alone until size_ says otherwise.
    lock.unlock();
    memcpy(buffer_.data() + at, data.data(), n);
    lock.lock();
    size_ += n;
    data.remove_prefix(n);
    changed_.notify_all();
  }
  return reader_closed_ ? reader_status_ : absl::OkStatus();
}

void BytePipe::CloseWriter(const absl::Status& status) {
  const std::lock_guard<std::mutex> lock(mutex_);
  writer_closed_ = true;
  writer_status_ = status;
  changed_.notify_all();
}

absl::StatusOr<absl::string_view> BytePipe::Read() {
  std::unique_lock<std::mutex> lock(mutex_);
  begin_ = (begin_ + lent_) % buffer_.size();
  size_ -= lent_;
  lent_ = 0;
  changed_.notify_all();
  changed_.wait(lock, [&] { return writer_closed_ || size_ > 0; });
  if (writer_closed_ && !writer_status_.ok()) return writer_status_;
  lent_ = std::min(size_, buffer_.size() - begin_);
  return absl::string_view(buffer_.data() + begin_, lent_);
}

void BytePipe::CloseReader(const absl::Status& status) {
  const std::lock_guard<std::mutex> lock(mutex_);
  reader_closed_ = true;
  reader_status_ = status;
  changed_.notify_all();
}

}  // namespace berth
