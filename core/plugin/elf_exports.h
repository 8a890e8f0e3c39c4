// What a shared object exports, read from its bytes without loading it.
#ifndef BERTH_CORE_PLUGIN_ELF_EXPORTS_H_
#define BERTH_CORE_PLUGIN_ELF_EXPORTS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace berth {

// Names of the defined symbols in .dynsym that others can bind to, in their order. kInvalidArgument says what is wrong
// with the bytes: no ELF object of this machine's kind, a table beyond the end, ...
absl::StatusOr<std::vector<std::string>> ElfExports(absl::string_view file);

}  // namespace berth

#endif  // BERTH_CORE_PLUGIN_ELF_EXPORTS_H_
