// How many descriptors the daemon may have open.
#ifndef BERTH_CORE_BASE_DESCRIPTOR_LIMIT_H_
#define BERTH_CORE_BASE_DESCRIPTOR_LIMIT_H_

#include <cstdint>

namespace berth {

// Raises this process's soft limit to its hard one: the usual 1024, which is for programs that use select(2), is too
// little for a node's pods. Returns the soft limit of before, which is what containers are to start with; also in a
// daemon that another one has started, and after a second call. Not thread-safe: before the first thread starts.
uint64_t RaiseDescriptorLimit();

// The soft limit in force.
uint64_t DescriptorLimit();

}  // namespace berth

#endif  // BERTH_CORE_BASE_DESCRIPTOR_LIMIT_H_
