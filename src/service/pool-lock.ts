// Room: service. Owns the pool's lock for operations that work on the pool in this process.
import { type Config, paths } from "../config.ts";
import { failedPrecondition } from "../domain/errors.ts";
import { isLock, type Lock, tryLock } from "../system/file/locks.ts";

/** Locks out workers and other commands. Throws `failed_precondition` if one of them holds the lock. */
export function lockPool(config: Config): Lock {
  const outcome = tryLock(paths.poolLock(config), JSON.stringify({ pid: process.pid, pool: config.pool }));
  if (isLock(outcome)) return outcome;
  throw failedPrecondition(`another process${holderOf(outcome.heldBy)} uses pool ${config.pool}: stop it first`);
}

/** The PID in the lock file's line, in parentheses; empty if there is none. */
function holderOf(line: string): string {
  const pid = /"pid":(\d+)/.exec(line)?.[1];
  return pid === undefined ? "" : ` (${pid})`;
}
