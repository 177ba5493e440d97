// Room: cli. Owns the display of unpack progress on stderr: bars on a terminal, one line per event otherwise.
import { formatSize } from "../../domain/units.ts";
import type { LayerProgress } from "../../service/unpack.ts";
import type { UnpackOutcome, UnpackReporter } from "../support/unpack-each.ts";
import { plural, shortDigests } from "./format.ts";
import { say } from "./output.ts";

/** Writes the outcome of an image's unpack, while no bars are drawn. */
export type Report = (reference: string, outcome: UnpackOutcome) => Promise<void>;

export interface ProgressReporter extends UnpackReporter, Disposable {}

/** Loads the library of the bars where they are drawn. */
export async function progressReporter(report: Report): Promise<ProgressReporter> {
  if (!process.stderr.isTTY) return new PlainLines(report);
  const { Bars } = await import("./progress-bars.ts");
  return new Bars(report);
}

class PlainLines implements ProgressReporter {
  readonly #report: Report;
  readonly #seen = new Map<string, readonly LayerProgress[]>();

  constructor(report: Report) {
    this.#report = report;
  }

  begin(reference: string): void {
    say(`${reference}: queued`);
  }

  update(reference: string, layers: readonly LayerProgress[]): void {
    const before = this.#seen.get(reference) ?? [];
    if (before.length === 0 && layers.length > 0) {
      const bytes = layers.reduce((sum, { compressedBytes }) => sum + compressedBytes, 0);
      say(`${reference}: ${plural(layers.length, "layer")}, ${formatSize(bytes)} compressed`);
    }
    for (const [index, { digest, state }] of layers.entries()) {
      if (state === before[index]?.state || state === "waiting") continue;
      say(`${reference}: layer ${index + 1} of ${layers.length} ${shortDigests(digest)} ${state}`);
    }
    this.#seen.set(reference, layers);
  }

  async end(reference: string, outcome: UnpackOutcome): Promise<void> {
    this.#seen.delete(reference);
    await this.#report(reference, outcome);
  }

  [Symbol.dispose](): void {
    this.#seen.clear();
  }
}
