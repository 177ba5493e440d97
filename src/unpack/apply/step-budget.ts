// Room: unpack. Owns the limit on steps of path resolution: a number for each entry, so that the total is linear.
import { invalidArgument } from "../../domain/errors.ts";

/** A layer of links and missing directories needs a step for each component of its paths: about twenty. */
const stepsPerEntry = 100;
const firstSteps = 100_000;

export class StepBudget {
  #left = firstSteps;
  #entries = 0;

  nextEntry(): void {
    this.#entries++;
    this.#left += stepsPerEntry;
  }

  /** Counts the look-up of one component of a path. Throws invalid_argument when the limit is reached. */
  take(): void {
    if (--this.#left >= 0) return;
    const limit = `${firstSteps} and ${stepsPerEntry} for each entry`;
    throw invalidArgument(
      `the paths of the layer's first ${this.#entries} entries lead through too many links and missing directories: the limit is ${limit}`,
    );
  }
}
