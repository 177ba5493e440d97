// Owns the run of the fault tests: which faults there are, and a sound pool for each.
import type { DmControlName } from "../../src/drivers/devicemapper/control/control.ts";
import { type Fault, type FaultPoint, faultPoints } from "../../src/system/faults.ts";
import type { Bundle } from "./bundle.ts";
import type { FaultTest } from "./fault-tests.ts";
import { FaultHarness } from "./harness.ts";
import { bundleKilledWorker } from "./killed-worker.ts";

/** One fault for every time that a point is passed. */
export function faultsOf(passed: readonly FaultPoint[]): Fault[] {
  return passed.map((point, index) => ({
    point,
    occurrence: passed.slice(0, index + 1).filter((other) => other === point).length,
  }));
}

/** Between the jobs of an unpack only the outbox and the queue change: test/e2e/crash.test.ts covers these points. */
const pointsOfTheQueue: ReadonlySet<FaultPoint> = new Set(["unpack.resolved", "unpack.accepted", "unpack.settled"]);

/** Only where devices are files: test/snapshotter/copies.test.ts and test/e2e/crash.test.ts cover them. */
const pointsOfCopies: ReadonlySet<FaultPoint> = new Set([
  "commit-copies.intended",
  "commit-copies.adopted",
  "writer.copied",
]);

export const pointsNeverReached = (reached: ReadonlySet<FaultPoint>): FaultPoint[] =>
  faultPoints.filter((point) => !pointsOfTheQueue.has(point) && !pointsOfCopies.has(point) && !reached.has(point));

/** Reuses one pool as long as it is sound. */
export class FaultTestRunner implements AsyncDisposable {
  readonly #control: DmControlName;
  #workerProgram: Bundle | undefined;
  #harness: FaultHarness | undefined;

  constructor(control: DmControlName) {
    this.#control = control;
  }

  faultPoints(faultTest: FaultTest): Promise<FaultPoint[]> {
    return this.#on(faultTest, (harness) => faultTest.faultPoints(harness));
  }

  runWithFault(faultTest: FaultTest, fault: Fault): Promise<void> {
    return this.#on(faultTest, (harness) => faultTest.runWithFault(harness, fault));
  }

  async #on<T>(faultTest: FaultTest, action: (harness: FaultHarness) => Promise<T>): Promise<T> {
    this.#workerProgram ??= await bundleKilledWorker();
    if (faultTest.pool === "bare") {
      await using harness = await FaultHarness.build(this.#control, this.#workerProgram);
      const result = await action(harness);
      await harness.stopWorker();
      return result;
    }
    this.#harness ??= await FaultHarness.open(this.#control, this.#workerProgram);
    try {
      return await action(this.#harness);
    } catch (error) {
      const spoilt = this.#harness;
      this.#harness = undefined;
      await spoilt[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Checks the last pool, too. */
  async [Symbol.asyncDispose](): Promise<void> {
    const harness = this.#harness;
    this.#harness = undefined;
    try {
      await harness?.stopWorker();
    } finally {
      await harness?.[Symbol.asyncDispose]();
      await this.#workerProgram?.[Symbol.asyncDispose]();
    }
  }
}
