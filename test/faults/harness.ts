// Owns the pool on which one case after the other is played, and the checks that every case ends with.
import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DmControl, DmControlName } from "../../src/drivers/devicemapper/control/control.ts";
import { createLibdevmapperControl } from "../../src/drivers/devicemapper/control/libdevmapper/control.ts";
import type { SnapshotterOptions } from "../../src/snapshotter/snapshotter.ts";
import type { Fault } from "../../src/system/faults.ts";
import { unmount } from "../../src/system/mount/mounts.ts";
import type { Client, Stage } from "../conformance/snapshotter-fixture.ts";
import { mountsBelow } from "../support/residue.ts";
import { checkMetadata, committedContents, complaintsOf } from "./audit.ts";
import type { Bundle } from "./bundle.ts";
import { type Doing, killAt } from "./killed-worker.ts";
import { connectControl, leftOnHost, lent, mountpointIn, type PoolPlace, startWorker, takeOff } from "./pool.ts";
import { type Errand, furnish, newClient, type Scene } from "./scenarios.ts";
import { setScene } from "./set-up-scenario.ts";

const plain: Partial<SnapshotterOptions> = {};

/** A pool with "base" and "child". Disposing of it takes everything off the host, in whatever state it is. */
export class Theatre implements AsyncDisposable {
  readonly place: PoolPlace;
  readonly #control: DmControl;
  /** What the checks look through: the one that costs no processes, whichever the worker has. */
  readonly #auditor: DmControl;
  readonly #victim: Bundle;
  #worker: Stage | undefined;
  #settings = plain;
  #contents: ReadonlyMap<string, string> = new Map();
  /** Whether the scene has something mounted that its operation is to find in use. */
  #isMounted = false;

  private constructor(place: PoolPlace, victim: Bundle) {
    this.place = place;
    this.#victim = victim;
    this.#control = connectControl(place);
    this.#auditor = place.control === "libdevmapper" ? this.#control : createLibdevmapperControl();
  }

  /** In a directory of its own, where there is no pool yet. */
  static async build(control: DmControlName, victim: Bundle): Promise<Theatre> {
    return new Theatre({ directory: await realpath(await mkdtemp(join(tmpdir(), "faults-"))), control }, victim);
  }

  static async open(control: DmControlName, victim: Bundle): Promise<Theatre> {
    const theatre = await Theatre.build(control, victim);
    try {
      await furnish(newClient(await theatre.worker()));
      await theatre.remember();
      return theatre;
    } catch (error) {
      await theatre[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** This process's own worker of the pool, started when none is running with these settings. */
  async worker(settings: Partial<SnapshotterOptions> = plain): Promise<Stage> {
    if (this.#worker !== undefined && this.#settings === settings) return this.#worker;
    await this.stopWorker();
    this.#settings = settings;
    this.#worker = await startWorker(this.place, settings, lent(this.#control));
    return this.#worker;
  }

  async client(settings?: Partial<SnapshotterOptions>): Promise<Client> {
    return newClient(await this.worker(settings));
  }

  /** When the pool could be taken off the host, its metadata is checked. */
  async stopWorker(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    if (worker === undefined) return;
    await worker[Symbol.asyncDispose]();
    if (this.#isMounted) return;
    throwAll("left on the host", await leftOnHost(this.place, this.#auditor));
    await checkMetadata(this.place);
  }

  /** Sets the scene in this process; returns its operation. */
  async set(scene: Scene): Promise<Errand> {
    this.#isMounted = scene.mountedKey !== undefined;
    return await setScene(this.place, await this.client(scene.snapshotter), scene);
  }

  /** Has another process set the scene and die at the fault in its operation, or in its stop; returns the operation. */
  async killIn(scene: Scene, fault: Fault, kind: "operation" | "stop" = "operation"): Promise<Errand> {
    const said = await this.kill(fault, { kind, scene: scene.title }, scene.snapshotter);
    this.#isMounted = scene.mountedKey !== undefined;
    return JSON.parse(said) as Errand;
  }

  /** Stops this process's worker, and has another one die at the fault in what it does; returns what that said. */
  async kill(fault: Fault, doing: Doing, settings?: Partial<SnapshotterOptions>): Promise<string> {
    await this.stopWorker();
    return await killAt(this.#victim, fault, this.place, doing, settings);
  }

  async unmount(): Promise<void> {
    if (mountsBelow(this.place.directory).length > 0) await unmount(mountpointIn(this.place));
    this.#isMounted = false;
  }

  /** What is committed now is to stay as it is. */
  async remember(): Promise<void> {
    this.#contents = await committedContents(this.place, await this.worker(this.#settings), this.#auditor);
  }

  /** Throws when something does not fit together, or a committed snapshot has been lost or changed. */
  async check(): Promise<void> {
    const worker = await this.worker(this.#settings);
    throwAll("the pool is not in order", await complaintsOf(this.place, worker, this.#auditor));
    const mounts = mountsBelow(this.place.directory, join(tmpdir(), "snapmill-mount-"));
    if (mounts.length !== Number(this.#isMounted)) throw new Error(`mounted: ${mounts.join("; ") || "nothing"}`);
  }

  async checkContents(): Promise<void> {
    const contents = await committedContents(this.place, await this.worker(this.#settings), this.#auditor);
    const changed = [...this.#contents].filter(([name, checksum]) => contents.get(name) !== checksum);
    throwAll(
      "committed snapshots are lost or changed",
      changed.map(([name]) => name),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    await this.unmount();
    await worker?.[Symbol.asyncDispose]();
    await takeOff(this.place, this.#auditor);
    await this.#auditor[Symbol.asyncDispose]();
    await this.#control[Symbol.asyncDispose]();
    await rm(this.place.directory, { recursive: true, force: true });
  }
}

function throwAll(what: string, complaints: readonly string[]): void {
  if (complaints.length > 0) throw new Error(`${what}: ${complaints.join("; ")}`);
}
