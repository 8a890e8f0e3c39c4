#include "core/base/utf8.h"

namespace berth {
namespace {

struct Sequence {
  size_t size;                         // 0: no sequence begins so
  unsigned least_second, most_second;  // bytes after that are 0x80 to 0xbf
};

Sequence SequenceOf(unsigned lead) {
  if (lead < 0x80) return {1, 0, 0};
  if (lead < 0xc2 || lead > 0xf4) return {0, 0, 0};
  if (lead < 0xe0) return {2, 0x80, 0xbf};
  if (lead < 0xf0) return {3, lead == 0xe0 ? 0xa0u : 0x80u, lead == 0xed ? 0x9fu : 0xbfu};
  return {4, lead == 0xf0 ? 0x90u : 0x80u, lead == 0xf4 ? 0x8fu : 0xbfu};
}

}  // namespace

size_t FirstNotUtf8(absl::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const Sequence sequence = SequenceOf(static_cast<unsigned char>(text[at]));
    if (sequence.size == 0 || sequence.size > text.size() - at) return at;
    for (size_t k = 1; k < sequence.size; ++k) {
      const unsigned byte = static_cast<unsigned char>(text[at + k]);
      const unsigned least = k == 1 ? sequence.least_second : 0x80;
      const unsigned most = k == 1 ? sequence.most_second : 0xbf;
      if (byte < least || byte > most) return at;
    }
    at += sequence.size;
  }
  return text.size();
}

}  // namespace berth
