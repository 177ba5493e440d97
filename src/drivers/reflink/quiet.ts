// Room: drivers. Owns holding a device still: everything written is on its file, and nothing more comes meanwhile.
import { readdir, rm, writeFile } from "node:fs/promises";
import { failedPrecondition } from "../../domain/errors.ts";
import type { DeviceName, PoolName } from "../../domain/identifiers.ts";
import { syncPath } from "../../system/durable.ts";
import { isHeldExclusively } from "../../system/loop.ts";
import { loopDeviceNumber } from "../../system/loops.ts";
import { mountInfo } from "../../system/mountinfo.ts";
import { freeze, thaw } from "../../system/mounts.ts";
import type { Activations } from "./activations.ts";
import { deviceOfMark, frozenMark } from "./layout.ts";

/**
 * Freezes mounted devices. A mark in the directory of stable paths (which, like a freeze, does not survive a reboot)
 * tells the next process what one that was killed left frozen.
 */
export class Quiet {
  readonly #pool: PoolName;
  readonly #activations: Activations;
  readonly #linksDir: string;
  /** Held still by `suspend` until `resume`. */
  readonly #suspended = new Set<DeviceName>();

  constructor(pool: PoolName, activations: Activations, linksDir: string) {
    this.#pool = pool;
    this.#activations = activations;
    this.#linksDir = linksDir;
  }

  /** Thaws what a dead process left frozen. */
  async reconcile(): Promise<void> {
    this.#suspended.clear();
    for (const name of await readdir(this.#linksDir)) {
      const device = deviceOfMark(this.#pool, name);
      if (device !== undefined) await this.#thaw(device);
    }
  }

  async suspend(device: DeviceName): Promise<void> {
    if (this.#suspended.has(device)) return;
    await this.#freeze(device);
    this.#suspended.add(device);
  }

  async resume(device: DeviceName): Promise<void> {
    this.#suspended.delete(device);
    await this.#thaw(device);
  }

  /** Holds the device still until the result is disposed of; a device that is suspended stays so. */
  async hold(device: DeviceName): Promise<AsyncDisposable> {
    if (this.#suspended.has(device)) return { [Symbol.asyncDispose]: () => Promise.resolve() };
    await this.#freeze(device);
    return { [Symbol.asyncDispose]: () => this.#thaw(device) };
  }

  async #freeze(device: DeviceName): Promise<void> {
    const loop = await this.#activations.loopOf(device);
    if (loop === undefined) return;
    if (await isHeldExclusively(loop)) await this.#freezeMounted(device, loop);
    await syncPath(loop);
  }

  async #freezeMounted(device: DeviceName, loop: string): Promise<void> {
    const dir = await mountPointOf(loop);
    if (dir === undefined) {
      const wayOut = "unmount it there first";
      throw failedPrecondition(`device ${device} (${loop}) is in use where it cannot be frozen from here; ${wayOut}`);
    }
    await writeFile(frozenMark(this.#linksDir, device), "");
    await freeze(dir);
  }

  /** Also after an unmount, which ends a freeze. */
  async #thaw(device: DeviceName): Promise<void> {
    const loop = await this.#activations.loopOf(device);
    const dir = loop === undefined ? undefined : await mountPointOf(loop);
    if (dir !== undefined) await thaw(dir);
    await rm(frozenMark(this.#linksDir, device), { force: true });
  }
}

/** A directory where the device's file system is seen; undefined when none is in this mount namespace. */
async function mountPointOf(loop: string): Promise<string | undefined> {
  const number = await loopDeviceNumber(loop);
  const mounts = await mountInfo();
  // What another mount covers cannot be reached by its path.
  const uppermost = new Map(mounts.map((entry) => [entry.mountPoint, entry]));
  const ours = [...uppermost.values()].filter((entry) => entry.deviceNumber === number);
  return (ours.find((entry) => entry.root === "/") ?? ours[0])?.mountPoint;
}
