// Room: unpack. Owns the bound on what looking for directories may cost: so much for each entry, so the whole is linear.
import { invalidArgument } from "../../domain/errors.ts";

/** A layer that is all links and missing directories needs a step for each component of its paths: some twenty. */
const stepsPerEntry = 100;
const firstSteps = 100_000;

export class StepBudget {
  #left = firstSteps;
  #entries = 0;

  nextEntry(): void {
    this.#entries++;
    this.#left += stepsPerEntry;
  }

  /** One component of a path is looked up by itself. Throws invalid_argument when the layer has had its share. */
  take(): void {
    if (--this.#left >= 0) return;
    const limit = `${firstSteps} and ${stepsPerEntry} for each entry`;
    throw invalidArgument(
      `the paths of the layer's first ${this.#entries} entries lead through too many links and missing directories: the limit is ${limit}`,
    );
  }
}
