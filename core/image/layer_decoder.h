// One compression format's decoder of a layer's bytes.
#ifndef BERTH_CORE_IMAGE_LAYER_DECODER_H_
#define BERTH_CORE_IMAGE_LAYER_DECODER_H_

#include <functional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace berth {

// One thread. Errors: kInvalidArgument for data that is not of the format, and what `emit` returned.
class LayerDecoder {
 public:
  using Emit = std::function<absl::Status(absl::string_view)>;

  virtual ~LayerDecoder() = default;
  // Consumes all it gets.
  virtual absl::Status Feed(absl::string_view data, const Emit& emit) = 0;
  // kInvalidArgument when the stream is not complete.
  virtual absl::Status End() = 0;
};

}  // namespace berth

#endif  // BERTH_CORE_IMAGE_LAYER_DECODER_H_
