#include "core/base/program_memory.h"

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace berth {
namespace {

int PageOut(dl_phdr_info* info, size_t, void*) {
  const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = info->dlpi_phdr[i];
    // Writable segments, read-only after relocation or not, hold what is in no file: paging those out is for swap.
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const uintptr_t begin = (info->dlpi_addr + segment.p_vaddr) & ~(page - 1);
    const uintptr_t end = info->dlpi_addr + segment.p_vaddr + segment.p_memsz;
    // A hint: a kernel that does not know it leaves everything as it is.
    madvise(reinterpret_cast<void*>(begin), end - begin, MADV_PAGEOUT);
  }
  return 1;  // the first object is the program; libraries are other processes' too
}

}  // namespace

void PageOutProgram() { dl_iterate_phdr(PageOut, nullptr); }

}  // namespace berth
