// Owns the pool that one fault test after the other runs on, and the checks that each ends with.
import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DmControl, DmControlName } from "../../src/drivers/devicemapper/control/control.ts";
import { createLibdevmapperControl } from "../../src/drivers/devicemapper/control/libdevmapper/control.ts";
import type { SnapshotterOptions } from "../../src/snapshotter/snapshotter.ts";
import type { Fault } from "../../src/system/faults.ts";
import { unmount } from "../../src/system/mount/mounts.ts";
import type { Client, SnapshotterFixture } from "../conformance/snapshotter-fixture.ts";
import { mountsBelow } from "../support/residue.ts";
import { checkMetadata, committedContents, problemsOf } from "./audit.ts";
import type { Bundle } from "./bundle.ts";
import { type Activity, killAt } from "./killed-worker.ts";
import {
  connectControl,
  keptOpen,
  leftOnHost,
  mountpointIn,
  type PoolPlace,
  removeFromHost,
  startWorker,
} from "./pool.ts";
import { newClient, type Operation, populate, type Scenario } from "./scenarios.ts";
import { setUpScenario } from "./set-up-scenario.ts";

const plain: Partial<SnapshotterOptions> = {};

/** A pool with "base" and "child". Disposing of it removes it from the host, whatever its state. */
export class FaultHarness implements AsyncDisposable {
  readonly place: PoolPlace;
  readonly #control: DmControl;
  /** For the checks: always libdevmapper, which starts no processes. */
  readonly #checkControl: DmControl;
  readonly #workerProgram: Bundle;
  #worker: SnapshotterFixture | undefined;
  #settings = plain;
  #contents: ReadonlyMap<string, string> = new Map();
  /** Whether the scenario keeps a snapshot mounted during its operation. */
  #isMounted = false;

  private constructor(place: PoolPlace, workerProgram: Bundle) {
    this.place = place;
    this.#workerProgram = workerProgram;
    this.#control = connectControl(place);
    this.#checkControl = place.control === "libdevmapper" ? this.#control : createLibdevmapperControl();
  }

  /** In its own directory, without a pool. */
  static async build(control: DmControlName, workerProgram: Bundle): Promise<FaultHarness> {
    return new FaultHarness(
      { directory: await realpath(await mkdtemp(join(tmpdir(), "faults-"))), control },
      workerProgram,
    );
  }

  static async open(control: DmControlName, workerProgram: Bundle): Promise<FaultHarness> {
    const harness = await FaultHarness.build(control, workerProgram);
    try {
      await populate(newClient(await harness.worker()));
      await harness.remember();
      return harness;
    } catch (error) {
      await harness[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The pool's worker in this process; started unless one runs with these settings. */
  async worker(settings: Partial<SnapshotterOptions> = plain): Promise<SnapshotterFixture> {
    if (this.#worker !== undefined && this.#settings === settings) return this.#worker;
    await this.stopWorker();
    this.#settings = settings;
    this.#worker = await startWorker(this.place, settings, keptOpen(this.#control));
    return this.#worker;
  }

  async client(settings?: Partial<SnapshotterOptions>): Promise<Client> {
    return newClient(await this.worker(settings));
  }

  /** Also checks what is left on the host, and the pool's metadata, unless a snapshot is still mounted. */
  async stopWorker(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    if (worker === undefined) return;
    await worker[Symbol.asyncDispose]();
    if (this.#isMounted) return;
    throwAll("left on the host", await leftOnHost(this.place, this.#checkControl));
    await checkMetadata(this.place);
  }

  /** Sets the scenario up in this process; returns its operation. */
  async setUp(scenario: Scenario): Promise<Operation> {
    this.#isMounted = scenario.mountedKey !== undefined;
    return await setUpScenario(this.place, await this.client(scenario.snapshotter), scenario);
  }

  /** Another process sets the scenario up and is killed at the fault in its operation or stop; returns the operation. */
  async killIn(scenario: Scenario, fault: Fault, kind: "operation" | "stop" = "operation"): Promise<Operation> {
    const said = await this.kill(fault, { kind, scenario: scenario.title }, scenario.snapshotter);
    this.#isMounted = scenario.mountedKey !== undefined;
    return JSON.parse(said) as Operation;
  }

  /** Stops this process's worker and has another process killed at the fault; returns what that wrote. */
  async kill(fault: Fault, activity: Activity, settings?: Partial<SnapshotterOptions>): Promise<string> {
    await this.stopWorker();
    return await killAt(this.#workerProgram, fault, this.place, activity, settings);
  }

  async unmount(): Promise<void> {
    if (mountsBelow(this.place.directory).length > 0) await unmount(mountpointIn(this.place));
    this.#isMounted = false;
  }

  /** Records the committed content, which must not change from now on. */
  async remember(): Promise<void> {
    this.#contents = await committedContents(this.place, await this.worker(this.#settings), this.#checkControl);
  }

  /** Throws when database, pool and host disagree, or something unexpected is mounted. */
  async check(): Promise<void> {
    const worker = await this.worker(this.#settings);
    throwAll("the pool is not in order", await problemsOf(this.place, worker, this.#checkControl));
    const mounts = mountsBelow(this.place.directory, join(tmpdir(), "snapmill-mount-"));
    if (mounts.length !== Number(this.#isMounted)) throw new Error(`mounted: ${mounts.join("; ") || "nothing"}`);
  }

  async checkContents(): Promise<void> {
    const contents = await committedContents(this.place, await this.worker(this.#settings), this.#checkControl);
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
    await removeFromHost(this.place, this.#checkControl);
    await this.#checkControl[Symbol.asyncDispose]();
    await this.#control[Symbol.asyncDispose]();
    await rm(this.place.directory, { recursive: true, force: true });
  }
}

function throwAll(what: string, problems: readonly string[]): void {
  if (problems.length > 0) throw new Error(`${what}: ${problems.join("; ")}`);
}
