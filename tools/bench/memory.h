// How much memory the processes of a runtime take.
#ifndef BERTH_TOOLS_BENCH_MEMORY_H_
#define BERTH_TOOLS_BENCH_MEMORY_H_

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace berth {

// Proportional set size (PSS) of one process in bytes; 0 when it is gone.
uint64_t Pss(pid_t pid);

// The most physical memory that one process has had (VmHWM) in bytes; 0 when it is gone. `pid` as in /proc.
uint64_t PeakResident(const std::string& pid);

// PSS of all processes of this pid namespace but this one, its init, and the containers' own (`sleep`).
uint64_t PssOfRuntime();

}  // namespace berth

#endif  // BERTH_TOOLS_BENCH_MEMORY_H_
