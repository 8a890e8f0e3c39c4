// Whether text from outside is UTF-8, for libraries that take it for granted.
#ifndef BERTH_CORE_BASE_UTF8_H_
#define BERTH_CORE_BASE_UTF8_H_

#include <cstddef>

#include "absl/strings/string_view.h"

namespace berth {

// Where the first sequence begins that RFC 3629 does not know (overlong forms and surrogates are none), or text.size().
size_t FirstNotUtf8(absl::string_view text);

}  // namespace berth

#endif  // BERTH_CORE_BASE_UTF8_H_
