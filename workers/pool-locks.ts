// Room: workers. Owns the locks around a pool: of the process that has it, and of the chains that are being unpacked.
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type Config, paths } from "../src/config.ts";
import { failedPrecondition } from "../src/domain/errors.ts";
import type { ChainId } from "../src/domain/identifiers.ts";
import { isErrno } from "../src/system/ffi/errno.ts";
import { isLock, type Lock, tryLock, tryLockAfterDeath } from "../src/system/file/locks.ts";
import { lockPath } from "../src/unpack/layer-turns.ts";

/** Makes this process the one that has the pool. Throws failed_precondition, naming who has it. */
export async function lockPool(config: Config): Promise<Lock> {
  mkdirSync(paths.poolDir(config), { recursive: true });
  const about = JSON.stringify({ pid: process.pid, pool: config.pool });
  // Also where the one before has just been killed, with all that belonged to it.
  const outcome = await tryLockAfterDeath(paths.poolLock(config), about);
  if (isLock(outcome)) return outcome;
  throw failedPrecondition(
    `pool ${config.pool} in ${paths.poolDir(config)} is held by another worker (${outcome.heldBy}): stop that one first`,
  );
}

/** Whether no process works on a chain: its lock is free. */
export function isChainAbandoned(config: Config, chain: ChainId): boolean {
  const outcome = tryLock(lockPath(paths.chainLocks(config), chain), `${process.pid}`);
  if (!isLock(outcome)) return false;
  outcome[Symbol.dispose]();
  return true;
}

/** Deletes the files in `directory` that no process holds a lock on. */
export function sweepLocks(directory: string): void {
  for (const name of namesIn(directory)) {
    const outcome = tryLock(join(directory, name), `${process.pid}`);
    if (isLock(outcome)) outcome[Symbol.dispose]();
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return [];
    throw error;
  }
}
