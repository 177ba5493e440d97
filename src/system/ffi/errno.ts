// Room: system. Owns which errno an exception carries, from node:fs or from a system call of this room.

/** Whether `error` carries one of these errno names ("ENOENT"). */
export function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  if (!(error instanceof Error) || !("code" in error)) return false;
  return typeof error.code === "string" && codes.includes(error.code);
}
