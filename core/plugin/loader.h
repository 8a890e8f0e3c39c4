// Loads a plugin's shared object, or says which rule it breaks.
#ifndef BERTH_CORE_PLUGIN_LOADER_H_
#define BERTH_CORE_PLUGIN_LOADER_H_

#include <sys/types.h>

#include <string>

#include "absl/status/statusor.h"
#include "berth/abi/base.h"

namespace berth {

// A module that passed every check. Copied out of the shared object, whose code stays mapped until the process ends.
struct Module {
  std::string path, name, version;
  berth_module table;  // what the module's struct does not have is NULL
};

// Refuses (kFailedPrecondition) a file that is not a regular one (links are followed), does not belong to `owner`, or
// is writable by its group or others, or that lies in such a directory; one that is no shared object of this machine or
// exports anything but `berth_module_v0`; and one whose module is of another ABI. kNotFound: there is no such file.
// A module is not initialised by this.
absl::StatusOr<Module> LoadModule(const std::string& path, uid_t owner = 0);

}  // namespace berth

#endif  // BERTH_CORE_PLUGIN_LOADER_H_
