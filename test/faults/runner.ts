// Owns the run of the cases: which there are, each on a sound pool, and what became of them.
import type { DmControlName } from "../../src/drivers/devicemapper/control/control.ts";
import { type Fault, type FaultPoint, faultPoints } from "../../src/system/faults.ts";
import type { Bundle } from "./bundle.ts";
import type { Play } from "./fault-tests.ts";
import { Theatre } from "./harness.ts";
import { bundleVictim } from "./killed-worker.ts";

/** A play at every point that it passes, each as often as it passes it. */
export function faultsOf(passed: readonly FaultPoint[]): Fault[] {
  return passed.map((point, index) => ({
    point,
    occurrence: passed.slice(0, index + 1).filter((other) => other === point).length,
  }));
}

/** Between jobs of an unpack, where nothing but the outbox and the queue changes: test/e2e/crash.test.ts has them. */
const pointsOfTheQueue: ReadonlySet<FaultPoint> = new Set(["unpack.resolved", "unpack.accepted", "unpack.settled"]);

export const pointsNeverReached = (reached: ReadonlySet<FaultPoint>): FaultPoint[] =>
  faultPoints.filter((point) => !pointsOfTheQueue.has(point) && !reached.has(point));

/** Gives each case a pool: the same one again, as long as it is sound. */
export class Season implements AsyncDisposable {
  readonly #control: DmControlName;
  #victim: Bundle | undefined;
  #theatre: Theatre | undefined;

  constructor(control: DmControlName) {
    this.#control = control;
  }

  rehearse(play: Play): Promise<FaultPoint[]> {
    return this.#on(play, (theatre) => play.rehearse(theatre));
  }

  perform(play: Play, fault: Fault): Promise<void> {
    return this.#on(play, (theatre) => play.perform(theatre, fault));
  }

  async #on<T>(play: Play, action: (theatre: Theatre) => Promise<T>): Promise<T> {
    this.#victim ??= await bundleVictim();
    if (play.pool === "bare") {
      await using theatre = await Theatre.build(this.#control, this.#victim);
      const result = await action(theatre);
      await theatre.stopWorker();
      return result;
    }
    this.#theatre ??= await Theatre.open(this.#control, this.#victim);
    try {
      return await action(this.#theatre);
    } catch (error) {
      const spoilt = this.#theatre;
      this.#theatre = undefined;
      await spoilt[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The last case's pool is checked, too. */
  async [Symbol.asyncDispose](): Promise<void> {
    const theatre = this.#theatre;
    this.#theatre = undefined;
    try {
      await theatre?.stopWorker();
    } finally {
      await theatre?.[Symbol.asyncDispose]();
      await this.#victim?.[Symbol.asyncDispose]();
    }
  }
}
