// Room: cli. Owns what the commands of `snapmill pool` have in common: their arguments, and the pool's lock.
import { type Command, InvalidArgumentError } from "commander";
import { type Config, paths } from "../../config.ts";
import { failedPrecondition } from "../../domain/errors.ts";
import { type PoolName, poolName } from "../../domain/identifiers.ts";
import { parseSize } from "../../domain/units.ts";
import { isLock, type Lock, tryLock } from "../../system/file/locks.ts";
import { accept, configOf } from "./options.ts";

export const parsePoolName = accept(poolName);

/** Bytes. */
export const parseBytes = (text: string): number => accept(parseSize)(text);

export function parseWhenFull(text: string): "error" | "queue" {
  if (text === "error" || text === "queue") return text;
  throw new InvalidArgumentError(`${JSON.stringify(text)} is neither error nor queue`);
}

/** `name`: the command's argument, in place of --pool. */
export const poolConfig = (command: Command, name: PoolName | undefined): Config =>
  configOf(command, name === undefined ? {} : { SNAPMILL_POOL: name });

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
