// Room: workers. Owns the locks around a pool: one process has it, and which chains somebody works on.
import { mkdirSync } from "node:fs";
import { type Config, paths } from "../src/config.ts";
import { failedPrecondition } from "../src/domain/errors.ts";
import type { ChainId } from "../src/domain/identifiers.ts";
import { isLock, type Lock, tryLock } from "../src/system/locks.ts";
import { lockPath } from "../src/unpack/chain.ts";

/** Makes this process the one that has the pool. Throws failed_precondition, naming who has it. */
export function lockPool(config: Config): Lock {
  mkdirSync(paths.poolDir(config), { recursive: true });
  const outcome = tryLock(paths.poolLock(config), JSON.stringify({ pid: process.pid, pool: config.pool }));
  if (isLock(outcome)) return outcome;
  throw failedPrecondition(
    `pool ${config.pool} in ${paths.poolDir(config)} is held by another worker (${outcome.heldBy}): stop that one first`,
  );
}

/** A chain that nobody works on: its lock is free. */
export function isChainAbandoned(config: Config, chain: ChainId): boolean {
  const outcome = tryLock(lockPath(paths.chainLocks(config), chain), `${process.pid}`);
  if (!isLock(outcome)) return false;
  outcome[Symbol.dispose]();
  return true;
}
