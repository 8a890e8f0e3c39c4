// Any bytes as an image reference: refused, or normalised to something that stays the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "core/image/reference.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto first = berth::ParseImageReference({reinterpret_cast<const char*>(data), size});
  if (!first.ok()) return 0;
  const auto second = berth::ParseImageReference(first->Normalised());
  if (!second.ok() || second->Normalised() != first->Normalised()) abort();
  return 0;
}
