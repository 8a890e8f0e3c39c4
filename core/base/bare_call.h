// System calls for programs without any library.
#ifndef BERTH_CORE_BASE_BARE_CALL_H_
#define BERTH_CORE_BASE_BARE_CALL_H_

namespace berth {

// Answers what the kernel does: a negative errno for an error. Always inlined, so that a child of vfork's kind, which
// runs on its parent's stack, returns from no function.
#if defined(__x86_64__)
[[gnu::always_inline]] inline long BareCall(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0) {
  long result;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
               : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
[[gnu::always_inline]] inline long BareCall(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0) {
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  register long x4 asm("x4") = e;
  asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
  return x0;
}
#else
#error "teach this file the system calls of this architecture"
#endif

inline long BareAddress(const void* object) { return reinterpret_cast<long>(object); }

}  // namespace berth

// A program's entry: calls FUNCTION, an extern "C" that does not return, with the address of what the kernel has put on
// the stack (the count of arguments, the arguments, the environment; each list ends with a null pointer).
#if defined(__x86_64__)
#define BERTH_BARE_ENTRY(function) \
  asm(".globl _start\n_start: xor %ebp,%ebp\n mov %rsp,%rdi\n and $-16,%rsp\n call " #function "\n")
#else
#define BERTH_BARE_ENTRY(function) asm(".globl _start\n_start: mov x29,#0\n mov x0,sp\n bl " #function "\n")
#endif

#endif  // BERTH_CORE_BASE_BARE_CALL_H_
