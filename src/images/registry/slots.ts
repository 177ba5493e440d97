// Room: images. Owns the limit of simultaneous downloads from one registry on this machine.
import { createHash } from "node:crypto";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { isLock, tryLock } from "../../system/file/locks.ts";

const pollMs = 100;

/** Named by a hash: a host's name may be long, and contain ':'. */
const directoryOf = (root: string, host: string): string =>
  join(root, createHash("sha256").update(host).digest("hex").slice(0, 16));

/**
 * Takes one of `connections` slots for `host`, among all processes that share `root`. A slot is a lock: the kernel frees
 * it when its holder dies. Waits until one is free; throws the signal's reason.
 */
export async function takeSlot(
  root: string,
  host: string,
  connections: number,
  signal: AbortSignal | undefined,
): Promise<Disposable> {
  const directory = directoryOf(root, host);
  for (;;) {
    signal?.throwIfAborted();
    for (let slot = 0; slot < connections; slot += 1) {
      const taken = tryLock(join(directory, `${slot}.lock`), JSON.stringify({ pid: process.pid, host }));
      if (isLock(taken)) return taken;
    }
    await delay(pollMs * (0.5 + Math.random()), undefined, { signal }).catch(() => undefined);
  }
}
