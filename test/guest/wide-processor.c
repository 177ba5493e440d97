/*
 * Makes any processor look like one with AMX to the guest kernel: a traced process' register set has 11,008 bytes, and
 * one of another size is refused with EFAULT. Preloaded behind wide-xstate.so it shows that the guest boots there;
 * preloaded alone, that it does not, and what is then said. No header is included, as in wide-xstate.c.
 */
typedef unsigned long size;
struct iovec { unsigned char *base; size length; };
extern int *__errno_location(void);

enum { sys_ptrace = 101, peek_text = 1, peek_user = 3, get_regset = 0x4204, set_regset = 0x4205 };
enum { xstate = 0x202, wide = 11008, largest = 65536, beyond = 0xa5, efault = 14 };

/* The system call itself; below zero is an error's number. In assembler, as tcc knows no variables in registers. */
extern long enter(long number, long a, long b, long c, long d, long e, long f);
__asm__(".globl enter\n"
        "enter:\n"
        "  mov %rdi, %rax\n"
        "  mov %rsi, %rdi\n"
        "  mov %rdx, %rsi\n"
        "  mov %rcx, %rdx\n"
        "  mov %r8, %r10\n"
        "  mov %r9, %r8\n"
        "  mov 8(%rsp), %r9\n"
        "  syscall\n"
        "  ret\n");

static long refused(long error) {
  *__errno_location() = (int)error;
  return -1;
}

static unsigned char kept[largest];

/* The size of this processor's own register set, which is in `kept` afterwards; 0 when there is none. */
static size narrow(long pid) {
  struct iovec own;
  own.base = kept;
  own.length = sizeof kept;
  return enter(sys_ptrace, get_regset, pid, xstate, (long)&own, 0, 0) < 0 ? 0 : own.length;
}

static long get(long pid, struct iovec *set) {
  size own = narrow(pid), at;
  if (own == 0) return refused(efault);
  if (set->length > wide) set->length = wide;
  for (at = 0; at < set->length; at++) set->base[at] = at < own ? kept[at] : beyond;
  return 0;
}

static long put(long pid, struct iovec *set) {
  size own = narrow(pid), at;
  struct iovec first;
  if (own == 0 || set->length != wide) return refused(efault);
  for (at = own; at < wide; at++) if (set->base[at] != beyond) return refused(efault);
  first.base = set->base;
  first.length = own;
  return enter(sys_ptrace, set_regset, pid, xstate, (long)&first, 0, 0) < 0 ? refused(efault) : 0;
}

long syscall(long number, long a, long b, long c, long d, long e, long f) {
  long result;
  if (number == sys_ptrace && c == xstate && a == get_regset) return get(b, (struct iovec *)d);
  if (number == sys_ptrace && c == xstate && a == set_regset) return put(b, (struct iovec *)d);
  result = enter(number, a, b, c, d, e, f);
  return result < 0 && result > -4096 ? refused(-result) : result;
}

long ptrace(long request, long pid, long address, long data) {
  long word;
  if (request < peek_text || request > peek_user) return syscall(sys_ptrace, request, pid, address, data, 0, 0);
  return syscall(sys_ptrace, request, pid, address, (long)&word, 0, 0) < 0 ? -1 : word;
}
