// Room: cli. Owns the display of unpack progress on stderr: bars on a terminal, one line per event otherwise.
import { MultiBar, type SingleBar } from "cli-progress";
import { formatSize } from "../../domain/units.ts";
import type { LayerProgress } from "../../service/unpack.ts";
import type { UnpackOutcome, UnpackReporter } from "../support/unpack-each.ts";
import { plural, shortDigests } from "./format.ts";
import { say } from "./output.ts";
import { type ImageProgress, progressLines } from "./progress-lines.ts";

/** Writes the outcome of an image's unpack, while no bars are drawn. */
type Report = (reference: string, outcome: UnpackOutcome) => Promise<void>;

export interface ProgressReporter extends UnpackReporter, Disposable {}

export const progressReporter = (report: Report): ProgressReporter =>
  process.stderr.isTTY ? new Bars(report) : new PlainLines(report);

/** Shows all running images below each other. The library's layout is not used: a slot is a line of `progressLines`. */
class Bars implements ProgressReporter {
  readonly #report: Report;
  readonly #images = new Map<string, ImageProgress>();
  #display: MultiBar | undefined;
  #slots: SingleBar[] = [];

  constructor(report: Report) {
    this.#report = report;
  }

  begin(reference: string): void {
    this.#images.set(reference, { reference, layers: [] });
    this.#show();
  }

  update(reference: string, layers: readonly LayerProgress[]): void {
    // Progress can arrive after the outcome of its image was reported.
    if (!this.#images.has(reference)) return;
    this.#images.set(reference, { reference, layers });
    this.#show();
  }

  async end(reference: string, outcome: UnpackOutcome): Promise<void> {
    this.#images.delete(reference);
    this[Symbol.dispose]();
    await this.#report(reference, outcome);
    if (this.#images.size > 0) this.#show();
  }

  [Symbol.dispose](): void {
    this.#display?.stop();
    this.#display = undefined;
    this.#slots = [];
  }

  #show(): void {
    // A terminal that does not know its size reports 0.
    const columns = process.stderr.columns || 80;
    const rows = process.stderr.rows || 24;
    const lines = progressLines([...this.#images.values()], { columns: columns - 1, rows: rows - 2 });
    this.#display ??= new MultiBar({
      format: (_options, _state, payload: { line: string }) => payload.line,
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: true,
      forceRedraw: true,
      gracefulExit: false,
    });
    while (this.#slots.length < lines.length) this.#slots.push(this.#display.create(1, 0, { line: "" }));
    for (const [index, slot] of this.#slots.entries()) slot.update({ line: lines[index] ?? "" });
  }
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
