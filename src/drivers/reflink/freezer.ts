// Room: drivers. Owns freezing a device: all earlier writes are in its file, and new ones wait.
import { existsSync } from "node:fs";
import { readdir, rm, writeFile } from "node:fs/promises";
import { failedPrecondition, type SnapmillError } from "../../domain/errors.ts";
import { describeUse, noHolders } from "../../domain/holders.ts";
import type { DeviceName, PoolName } from "../../domain/identifiers.ts";
import { loopDeviceNumber } from "../../system/block/attached-loops.ts";
import { holdersOf } from "../../system/block/holders.ts";
import { isHeldExclusively } from "../../system/block/loop.ts";
import { syncPath } from "../../system/file/durable.ts";
import { mountInfo } from "../../system/mount/mountinfo.ts";
import { freeze, thaw } from "../../system/mount/mounts.ts";
import { thawUnmounted } from "../../system/mount/rest.ts";
import type { Activations } from "./activations.ts";
import { deviceOfMark, frozenMark } from "./layout.ts";

/**
 * Freezes mounted devices. A mark in the directory of stable paths (which, like a freeze, does not survive a reboot)
 * tells the next process what a killed one has left frozen.
 */
export class Freezer {
  readonly #pool: PoolName;
  readonly #activations: Activations;
  readonly #linksDir: string;
  readonly #sync: (path: string) => Promise<void>;

  /** `sync` replaces fsync in tests: no disk fails on command. */
  constructor(pool: PoolName, activations: Activations, linksDir: string, sync = syncPath) {
    this.#pool = pool;
    this.#activations = activations;
    this.#linksDir = linksDir;
    this.#sync = sync;
  }

  /** Thaws what a dead process left frozen. */
  async reconcile(): Promise<void> {
    for (const name of await readdir(this.#linksDir)) {
      const device = deviceOfMark(this.#pool, name);
      if (device !== undefined) await this.thaw(device);
    }
  }

  /**
   * Freezes the device until the result is disposed of. A file system that another program has frozen stays frozen: all
   * that was written before is on the device. `failed_precondition` when one is mounted where it is out of reach.
   */
  async hold(device: DeviceName): Promise<AsyncDisposable> {
    const held = await this.holdIfReached(device);
    if (held.isOutOfReach) throw await this.outOfReach(device);
    return held;
  }

  /** The same, but what is out of reach is only flushed. */
  async holdIfReached(device: DeviceName): Promise<Held> {
    const state = await this.#syncFrozen(device);
    const thaw = () => (state === "frozen" ? this.thaw(device) : Promise.resolve());
    return { isOutOfReach: state === "out of reach", [Symbol.asyncDispose]: thaw };
  }

  /** The refusal, with who uses the device. */
  async outOfReach(device: DeviceName): Promise<SnapmillError> {
    const loop = await this.#activations.loopOf(device);
    const use = describeUse(loop === undefined ? noHolders : await holdersOf(loop));
    return failedPrecondition(`device ${device} (${loop ?? "inactive"}) cannot be frozen from here: it is ${use}`);
  }

  /**
   * Freezes the file system if one is mounted, and flushes what is active: an fsync of a loop device writes its cache to the
   * file, and has the kernel fsync that. It tells of failed writes to either.
   */
  async #syncFrozen(device: DeviceName): Promise<FreezeState> {
    const loop = await this.#activations.loopOf(device);
    if (loop === undefined) return "not mounted";
    const state = (await isHeldExclusively(loop)) ? await this.#freeze(device, loop) : "not mounted";
    try {
      await this.#sync(loop);
      return state;
    } catch (error) {
      if (state === "frozen") await this.thaw(device);
      throw error;
    }
  }

  async #freeze(device: DeviceName, loop: string): Promise<FreezeState> {
    const dir = await mountPointOf(loop);
    if (dir === undefined) return "out of reach";
    const mark = frozenMark(this.#linksDir, device);
    await writeFile(mark, "");
    let isOurs = false;
    try {
      isOurs = await freeze(dir);
    } finally {
      // A freeze by another program must not be thawed by the next process either.
      if (!isOurs) await rm(mark, { force: true });
    }
    return isOurs ? "frozen" : "frozen by another";
  }

  async thaw(device: DeviceName): Promise<void> {
    const loop = await this.#activations.loopOf(device);
    const dir = loop === undefined ? undefined : await mountPointOf(loop);
    if (dir !== undefined) await thaw(dir);
    const mark = frozenMark(this.#linksDir, device);
    if (dir === undefined && loop !== undefined && existsSync(mark) && (await isHeldExclusively(loop))) {
      await thawUnmounted(loop);
    }
    await rm(mark, { force: true });
  }
}

type FreezeState = "not mounted" | "frozen" | "frozen by another" | "out of reach";

interface Held extends AsyncDisposable {
  /** Mounted in another mount namespace, or without a mount point. */
  readonly isOutOfReach: boolean;
}

/** A directory on which the device's file system is mounted; undefined when there is none in this mount namespace. */
async function mountPointOf(loop: string): Promise<string | undefined> {
  const number = await loopDeviceNumber(loop);
  const mounts = await mountInfo();
  // A mount that another one covers cannot be reached by its path.
  const uppermost = new Map(mounts.map((entry) => [entry.mountPoint, entry]));
  const ours = [...uppermost.values()].filter((entry) => entry.deviceNumber === number);
  return (ours.find((entry) => entry.root === "/") ?? ours[0])?.mountPoint;
}
