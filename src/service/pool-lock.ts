// Room: service. Owns a pool's lock for an operation that works on the pool in this process.
import { type Config, paths } from "../config.ts";
import { failedPrecondition } from "../domain/errors.ts";
import { isLock, type Lock, tryLock } from "../system/file/locks.ts";

/** Keeps workers and other commands off the pool. Throws `failed_precondition` when one of them has it. */
export function lockPool(config: Config): Lock {
  const outcome = tryLock(paths.poolLock(config), JSON.stringify({ pid: process.pid, pool: config.pool }));
  if (isLock(outcome)) return outcome;
  throw failedPrecondition(
    `pool ${config.pool} is held by another process${holderOf(outcome.heldBy)}: stop that one first`,
  );
}

/** The number of the process whose line the lock holds; nothing where it holds another. */
function holderOf(line: string): string {
  const pid = /"pid":(\d+)/.exec(line)?.[1];
  return pid === undefined ? "" : ` (${pid})`;
}
