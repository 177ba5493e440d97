// Room: cli. Owns the bars that show the progress of unpacks on a terminal.
import { MultiBar, type SingleBar } from "cli-progress";
import type { LayerProgress } from "../../service/unpack.ts";
import type { UnpackOutcome } from "../support/unpack-each.ts";
import type { ProgressReporter, Report } from "./progress.ts";
import { type ImageProgress, progressLines } from "./progress-lines.ts";

/** Shows all running images below each other. The library's layout is not used: a slot is a line of `progressLines`. */
export class Bars implements ProgressReporter {
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
