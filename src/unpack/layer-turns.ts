// Room: unpack. Owns who may unpack a layer: one process a chain ID, and one in the whole pool after a layer found no room.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { isSnapmillError } from "../domain/errors.ts";
import type { ChainId } from "../domain/identifiers.ts";
import { acquireLock, isLock, type Lock, tryLock } from "../system/file/locks.ts";

const pollMs = 50;

export const lockPath = (lockDir: string, chainId: ChainId): string =>
  join(lockDir, `${chainId.replace(":", "-")}.lock`);

const alonePath = (lockDir: string): string => join(lockDir, "alone.lock");

export interface Turn {
  /** Directory of the locks, one file a chain ID. */
  readonly lockDir: string;
  readonly chainId: ChainId;
  /** Ends the waiting. */
  readonly waiting: AbortSignal;
  /** The layer's lock, if it was taken before by `takeTurn`. */
  readonly taken?: Lock | undefined;
  /** Paths of other locks of this process: it is not in its own way. */
  readonly own?: () => ReadonlySet<string>;
}

/** The lock is released when the work has ended, unless the work has moved it out of here. */
export type HeldTurn = DisposableStack;

/**
 * Runs `work` while no other process unpacks this layer. When it finds no room (`resource_exhausted`) while other layers
 * are in flight, those may have what it lacks, and give it back when they fail: it is run once more, with no other in
 * flight. What fails then does not fit.
 */
export async function inTurn<T>(turn: Turn, work: (held: HeldTurn) => Promise<T>): Promise<T> {
  {
    using held = new DisposableStack();
    const lock = held.use(turn.taken ?? (await lockLayer(turn)));
    const hadOthers = areOthersInFlight(turn, lock);
    try {
      return await work(held);
    } catch (error) {
      if (!isSnapmillError(error, "resource_exhausted") || !(hadOthers || areOthersInFlight(turn, lock))) throw error;
    }
  }
  using alone = await acquireLock(alonePath(turn.lockDir), { signal: turn.waiting });
  while (areOthersInFlight(turn, alone)) await pause(turn.waiting);
  using held = new DisposableStack();
  held.use(await acquireLock(lockPath(turn.lockDir, turn.chainId), { signal: turn.waiting }));
  return await work(held);
}

/** The lock of a layer if it is free, without waiting. */
export function takeTurn({ lockDir, chainId }: Pick<Turn, "lockDir" | "chainId">): Lock | undefined {
  const outcome = tryLock(lockPath(lockDir, chainId), JSON.stringify({ pid: process.pid }));
  if (!isLock(outcome)) return undefined;
  if (!isHeld(alonePath(lockDir))) return outcome;
  outcome[Symbol.dispose]();
  return undefined;
}

/** The process that is to be alone takes its lock first and looks at the others' then; here it is the other way round. */
async function lockLayer({ lockDir, chainId, waiting }: Turn): Promise<Lock> {
  for (;;) {
    const lock = await acquireLock(lockPath(lockDir, chainId), { signal: waiting });
    if (!isHeld(alonePath(lockDir))) return lock;
    lock[Symbol.dispose]();
    await pause(waiting);
  }
}

/** Whether another process has a lock here. */
function areOthersInFlight({ lockDir, own = () => new Set() }: Turn, lock: Lock): boolean {
  const ours = own();
  const paths = readdirSync(lockDir).map((name) => join(lockDir, name));
  return paths.some((path) => path !== lock.path && !ours.has(path) && isHeld(path));
}

const pause = (signal: AbortSignal): Promise<void> => delay(pollMs, undefined, { signal });

/** A file that a killed process has left goes. */
function isHeld(path: string): boolean {
  if (!existsSync(path)) return false;
  const outcome = tryLock(path, JSON.stringify({ pid: process.pid }));
  if (!isLock(outcome)) return true;
  outcome[Symbol.dispose]();
  return false;
}
