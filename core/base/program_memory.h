// Memory that holds the program itself.
#ifndef BERTH_CORE_BASE_PROGRAM_MEMORY_H_
#define BERTH_CORE_BASE_PROGRAM_MEMORY_H_

namespace berth {

// Gives the pages of the program's code and constants back to the kernel: what runs again is read again from the file.
// Worth it once, after start-up: reading the program's first pages maps most of a binary of 15 MB (large folios), of
// which a daemon at rest needs 2 MB. Does nothing before Linux 5.4, and to pages that another process maps, too.
void PageOutProgram();

}  // namespace berth

#endif  // BERTH_CORE_BASE_PROGRAM_MEMORY_H_
