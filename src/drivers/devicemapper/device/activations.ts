// Room: drivers. Owns which thin devices are active: activating, suspending and deactivating them.
import { setTimeout as delay } from "node:timers/promises";
import type { DeviceRef } from "../../../domain/devices.ts";
import { failedPrecondition, isSnapmillError, unavailable } from "../../../domain/errors.ts";
import { describeUse, type FoundHolders, noHolders } from "../../../domain/holders.ts";
import { type DeviceName, deviceNumber, type PoolName } from "../../../domain/identifiers.ts";
import { holdersOf } from "../../../system/block/holders.ts";
import { isHeldExclusively } from "../../../system/block/loop.ts";
import { type DmControl, DmError, isDmError, sectorBytes, type ThinTable } from "../control/control.ts";
import { devicePath } from "../control/names.ts";

/** `unknown`: a command ran out of time, or the kernel gave an unexpected answer. */
type Activation = "live" | "suspended" | "unknown";

export interface ActivationsOptions {
  readonly control: DmControl;
  readonly pool: PoolName;
  /** `/dev/mapper/<the pool's device>` */
  readonly poolPath: string;
}

/** Pauses between retries: udev has a new device open for a moment. */
const removePausesMs = [20, 60, 120, 200] as const;
const resumePausesMs = [50, 500] as const;

/**
 * The active devices of one pool. No other process activates devices of these names, so their state is known without
 * asking the kernel; `reconcile` asks.
 */
export class Activations {
  readonly #control: DmControl;
  readonly #pool: PoolName;
  readonly #poolPath: string;
  readonly #states = new Map<DeviceName, Activation>();

  constructor({ control, pool, poolPath }: ActivationsOptions) {
    this.#control = control;
    this.#pool = pool;
    this.#poolPath = poolPath;
  }

  /** Reads what exists; resumes devices that a process has left suspended, and removes those that it had not finished. */
  async reconcile(): Promise<void> {
    const states = new Map<DeviceName, Activation>();
    for (const { name, hasLiveTable, isSuspended } of await this.#control.list(`${this.#pool}-snap-`)) {
      const device = name as DeviceName;
      if (deviceNumber(this.#pool, device) === undefined) continue;
      if (!hasLiveTable) await this.#removeBegun(name);
      else if (isSuspended) await this.#control.resume(name);
      if (hasLiveTable) states.set(device, "live");
    }
    this.#states.clear();
    for (const [device, state] of states) this.#states.set(device, state);
  }

  /** A device without a table is unfinished. One that is open for the moment stays until its name is needed. */
  async #removeBegun(name: string): Promise<void> {
    try {
      await this.#control.remove(name);
    } catch (error) {
      if (!isDmError(error, "ENXIO", "EBUSY")) throw error;
    }
  }

  active(): readonly DeviceName[] {
    return [...this.#states.keys()];
  }

  isActive(device: DeviceName): boolean {
    return this.#states.has(device);
  }

  /** The ID of the device that is active under this name. */
  async deviceIdOf(device: DeviceName) {
    const table = await this.#control.table(device);
    return table?.target === "thin" ? table.deviceId : undefined;
  }

  /** `not_found` when the pool has no such device. */
  async activate(device: DeviceRef): Promise<void> {
    if (this.#states.get(device.deviceName) === "unknown") await this.#learn(device);
    if (this.#states.has(device.deviceName)) return;
    try {
      await this.#create(device);
    } catch (error) {
      // The name is taken: a command that had run out of time has succeeded since.
      if (!isDmError(error, "EBUSY", "EEXIST")) throw error;
      await this.#learn(device);
      if (!this.#states.has(device.deviceName)) await this.#create(device);
    }
  }

  #create(device: DeviceRef): Promise<void> {
    const { deviceName } = device;
    return this.#change(deviceName, "live", () => this.#control.create(deviceName, this.#tableOf(device)));
  }

  #tableOf({ deviceId, sizeBytes }: DeviceRef): ThinTable {
    return { target: "thin", sectors: sizeBytes / sectorBytes, poolDevice: this.#poolPath, deviceId };
  }

  /** Reads what exists under the device's name, and removes it if it is another device. */
  async #learn({ deviceName, deviceId }: DeviceRef): Promise<void> {
    const info = await this.#control.info(deviceName);
    this.#states.delete(deviceName);
    if (info === undefined) return;
    this.#states.set(deviceName, "unknown");
    if (info.hasLiveTable && (await this.deviceIdOf(deviceName)) === deviceId) {
      if (info.isSuspended) await this.#control.resume(deviceName);
      this.#states.set(deviceName, "live");
    } else {
      await this.deactivate(deviceName);
    }
  }

  /** `failed_precondition` when the device is in use; it stays active then. */
  async deactivate(device: DeviceName): Promise<void> {
    if (!this.#states.has(device)) return;
    if (await this.isMounted(device)) throw await inUse(device);
    for (const pauseMs of [...removePausesMs, undefined]) {
      try {
        await this.#change(device, undefined, () => this.#remove(device));
        return;
      } catch (error) {
        if (!isDmError(error, "EBUSY")) throw error;
        if (pauseMs === undefined) throw await inUse(device, error);
        await delay(pauseMs);
      }
    }
  }

  async #remove(device: DeviceName): Promise<void> {
    try {
      await this.#control.remove(device);
    } catch (error) {
      if (!isDmError(error, "ENXIO")) throw error;
    }
  }

  /** Whether the device is mounted, or held exclusively in another way, anywhere on the host. */
  async isMounted(device: DeviceName): Promise<boolean> {
    if (!this.#states.has(device)) return false;
    try {
      return await isHeldExclusively(devicePath(device));
    } catch (error) {
      if (isSnapmillError(error, "not_found")) return false;
      throw error;
    }
  }

  async isBusy(device: DeviceName): Promise<boolean> {
    if (!this.#states.has(device)) return false;
    return (await this.isMounted(device)) || ((await this.#control.info(device))?.openCount ?? 0) > 0;
  }

  async holders(device: DeviceName): Promise<FoundHolders> {
    return this.#states.has(device) ? await holdersOf(devicePath(device)) : noHolders;
  }

  /** Only when a resume has failed. */
  isSuspended(device: DeviceName): boolean {
    return this.#states.get(device) === "suspended";
  }

  /** A suspended device blocks every write and sync, so a resume that fails is retried. */
  async resume(device: DeviceName): Promise<void> {
    if (!this.#states.has(device)) return;
    for (const pauseMs of [...resumePausesMs, undefined]) {
      try {
        await this.#change(device, "live", () => this.#control.resume(device));
        return;
      } catch (error) {
        if (pauseMs === undefined) {
          const wayOut = `resume it by: dmsetup resume ${device}`;
          throw unavailable(`device ${device} is suspended and could not be resumed; ${wayOut}`, error);
        }
        await delay(pauseMs);
      }
    }
  }

  /** Runs `action` while the device is suspended: all earlier writes are on it, and no new ones are accepted. */
  async whileSuspended<T>(device: DeviceName, action: () => Promise<T>): Promise<T> {
    if (!this.#states.has(device) || this.isSuspended(device)) return await action();
    try {
      await this.#change(device, "suspended", () => this.#control.suspend(device));
      return await action();
    } finally {
      // Also when the suspend has failed: it may be half done, with writers waiting.
      await this.resume(device);
    }
  }

  /** A refusal leaves the device as it was; after any other failure its state is unknown. */
  async #change(device: DeviceName, after: Activation | undefined, act: () => Promise<void>): Promise<void> {
    const before = this.#states.get(device);
    this.#states.set(device, "unknown");
    try {
      await act();
      this.#note(device, after);
    } catch (error) {
      if (error instanceof DmError && error.errno !== "EUNKNOWN") this.#note(device, before);
      throw error;
    }
  }

  #note(device: DeviceName, state: Activation | undefined): void {
    if (state === undefined) this.#states.delete(device);
    else this.#states.set(device, state);
  }
}

const inUse = async (device: DeviceName, cause?: unknown) =>
  failedPrecondition(`device ${device} is ${describeUse(await holdersOf(devicePath(device)))}`, cause);
