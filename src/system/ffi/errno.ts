// Room: system. Owns the question which errno an exception carries, be it node:fs's or a system call's of our own.

/** Whether `error` carries one of these errno names ("ENOENT"). */
export function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  if (!(error instanceof Error) || !("code" in error)) return false;
  return typeof error.code === "string" && codes.includes(error.code);
}
