// A bounded pipe of bytes between two threads: one inflates, the other unpacks.
#ifndef BERTH_CORE_IMAGE_BYTE_PIPE_H_
#define BERTH_CORE_IMAGE_BYTE_PIPE_H_

#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace berth {

class BytePipe {
 public:
  explicit BytePipe(size_t capacity) : buffer_(capacity) {}

  // Writer: blocks while the pipe is full. Once the reader is done: its error, or OK and the bytes are dropped.
  absl::Status Write(absl::string_view data);
  // Writer: no more bytes follow; the reader gets `status` after the last one.
  void CloseWriter(const absl::Status& status);

  // Reader: the next bytes, empty at the end. The view is valid until the next call.
  absl::StatusOr<absl::string_view> Read();
  // Reader: it will not read any more.
  void CloseReader(const absl::Status& status);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<char> buffer_;
  size_t begin_ = 0, size_ = 0;
  size_t lent_ = 0;  // bytes at begin_ that the reader looks at
  bool writer_closed_ = false, reader_closed_ = false;
  absl::Status writer_status_, reader_status_;
};

}  // namespace berth

#endif  // BERTH_CORE_IMAGE_BYTE_PIPE_H_
