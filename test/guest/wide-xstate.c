/*
 * Lets user-mode Linux 6.1 run on processors whose XSAVE area is larger than the 2,696 bytes that it has room for (those
 * with AMX, from Sapphire Rapids on). PTRACE_SETREGSET refuses a register set of any other size than the processor's
 * with EFAULT, and the guest panics at its first process. Preloaded into the guest kernel, this ptrace completes a short
 * set with what the traced process has beyond it.
 *
 * No header is included, so that any C compiler will do. Numbers: <sys/ptrace.h>, <elf.h>, <asm/unistd_64.h>.
 */
typedef unsigned long size;
struct iovec { unsigned char *base; size length; };
extern long syscall(long number, ...);

enum { sys_ptrace = 101, peek_text = 1, peek_data = 2, peek_user = 3, get_regset = 0x4204, set_regset = 0x4205 };
enum { xstate = 0x202, largest = 65536 };

/* The C library's is variadic; callers pass these four words. */
long ptrace(long request, long pid, void *address, void *data) {
  if (request == set_regset && (size)address == xstate) {
    /* Not on the stack: the guest kernel's stacks have 16 KiB. The guest has one processor, so one call at a time. */
    static unsigned char whole[largest];
    struct iovec *given = data;
    struct iovec full;
    full.base = whole;
    full.length = sizeof whole;
    if (syscall(sys_ptrace, (long)get_regset, pid, address, &full) == 0 && full.length > given->length) {
      size at;
      for (at = 0; at < given->length; at++) whole[at] = given->base[at];
      return syscall(sys_ptrace, request, pid, address, &full);
    }
  }
  /* The system call stores the word it peeked at; the C library's function returns it. */
  if (request == peek_text || request == peek_data || request == peek_user) {
    long word;
    return syscall(sys_ptrace, request, pid, address, &word) < 0 ? -1 : word;
  }
  return syscall(sys_ptrace, request, pid, address, data);
}
