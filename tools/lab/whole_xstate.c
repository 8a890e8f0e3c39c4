// Preloaded into User-Mode Linux, so that it runs on processors whose state is larger than its own buffers.
//
// Debian 12's User-Mode Linux keeps the vector registers of its processes in buffers of a fixed size, and reads and
// writes them with PTRACE_GETREGSET and PTRACE_SETREGSET. Linux gives a short buffer the first part of the state, but
// takes back nothing but the whole of it; with AMX that is 11 KiB, the first instruction of init fails, and the machine
// does not come up. Here what is beyond the caller's buffer is left as it is: nothing on a machine of the lab uses tile
// registers.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

enum {
  kWholeBytes = 64 << 10,
  kComponentsOffset = 512
};  // the XSAVE header's bit map of components (Intel SDM 1, 13.4)

static const uint64_t kTileComponents = 3u << 17;  // TILECFG and TILEDATA, which lie after all others

typedef long (*Ptrace)(unsigned long request, unsigned long pid, unsigned long address, unsigned long data);

static long TransferState(Ptrace real, unsigned long request, unsigned long pid, struct iovec* part) {
  static _Thread_local _Alignas(64) unsigned char whole[kWholeBytes];
  struct iovec all = {whole, sizeof(whole)};
  const long got = real(PTRACE_GETREGSET, pid, NT_X86_XSTATE, (unsigned long)&all);
  if (got != 0) return got;
  if (part->iov_len > all.iov_len) part->iov_len = all.iov_len;
  if (request == PTRACE_GETREGSET) {
    memcpy(part->iov_base, whole, part->iov_len);
    return 0;
  }
  uint64_t before, components;
  memcpy(&before, whole + kComponentsOffset, sizeof(before));
  memcpy(whole, part->iov_base, part->iov_len);
  memcpy(&components, whole + kComponentsOffset, sizeof(components));
  components = (components & ~kTileComponents) | (before & kTileComponents);
  memcpy(whole + kComponentsOffset, &components, sizeof(components));
  return real(PTRACE_SETREGSET, pid, NT_X86_XSTATE, (unsigned long)&all);
}

__attribute__((visibility("default"))) long ptrace(enum __ptrace_request request, ...) {
  static Ptrace real;
  if (real == NULL) real = (Ptrace)dlsym(RTLD_NEXT, "ptrace");
  va_list rest;
  va_start(rest, request);
  const unsigned long pid = va_arg(rest, unsigned long);
  const unsigned long address = va_arg(rest, unsigned long);
  const unsigned long data = va_arg(rest, unsigned long);
  va_end(rest);
  const int transfers = request == PTRACE_GETREGSET || request == PTRACE_SETREGSET;
  if (transfers && address == NT_X86_XSTATE) return TransferState(real, request, pid, (struct iovec*)data);
  return real(request, pid, address, data);
}
