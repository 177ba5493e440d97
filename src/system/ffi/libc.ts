// Room: system. Owns the access to libc: opening it, and turning its errors into exceptions.
import { dlopen, type FFIFunction, FFIType, read } from "bun:ffi";
import { constants } from "node:os";

const libcPath = "libc.so.6";

const { symbols } = dlopen(libcPath, { __errno_location: { args: [], returns: FFIType.ptr } });

const errnoNames = new Map(Object.entries(constants.errno).map(([name, value]) => [value, name]));

/** A system call that failed: `errno` as a name ("ENOSPC"), the call, and what it was made on. */
export class SystemCallError extends Error {
  override readonly name = "SystemCallError";
  readonly code: string;
  readonly errno: number;

  constructor(call: string, subject: string, errno: number) {
    const code = errnoNames.get(errno) ?? `errno ${errno}`;
    super(`${call} ${subject}: ${code}`);
    this.code = code;
    this.errno = errno;
  }
}

/** The calling thread's errno. Read it directly after the call that failed, before anything else runs. */
export function errno(): number {
  const location = symbols.__errno_location();
  return location === null ? 0 : read.i32(location, 0);
}

/** `result` of a libc call that answers -1 on failure, or an exception that names call and subject. */
export function checked(result: number, call: string, subject: string): number {
  if (result === -1) throw new SystemCallError(call, subject, errno());
  return result;
}

/** A string as libc wants it. Keep the returned buffer alive (in a variable) until the call is over. */
export const cString = (text: string): Buffer => Buffer.from(`${text}\0`);

export function openLibc<Functions extends Record<string, FFIFunction>>(functions: Functions) {
  return dlopen(libcPath, functions).symbols;
}
