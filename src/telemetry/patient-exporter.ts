// Room: telemetry. Owns the way of spans to the collector: one that cannot be reached is left alone for a while, and said once.
import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace-base";
import { type Backoff, pauseAfterMs } from "../domain/backoff.ts";

type Done = Parameters<SpanExporter["export"]>[1];
/** ExportResultCode.SUCCESS */
const success = 0;

/** A batch that has been under way for longer is not expected to arrive. */
const promptMs = 2_000;

const backoff: Backoff = { firstMs: 5_000, capMs: 300_000 };

export interface ExporterTold {
  /** The collector did not take `spans` spans; it is tried again `nextMs` later. */
  readonly failed: (reason: string, lost: { readonly spans: number; readonly nextMs: number }) => void;
  /** It takes them again; `spans` were dropped meanwhile. */
  readonly recovered: (lost: { readonly spans: number }) => void;
}

/** Spans that come during a pause are dropped: what traces cost is bounded, whatever becomes of the collector. */
export class PatientExporter implements SpanExporter {
  readonly #inner: SpanExporter;
  readonly #tell: ExporterTold;
  #failures = 0;
  #dropped = 0;
  #pausedUntilMs = 0;
  #sentAtMs: number | undefined;
  #isClosed = false;

  constructor(inner: SpanExporter, tell: ExporterTold) {
    this.#inner = inner;
    this.#tell = tell;
  }

  /** Whether the collector has not taken the last spans, or has not answered for long. */
  get isFailing(): boolean {
    return this.#failures > 0 || (this.#sentAtMs !== undefined && performance.now() - this.#sentAtMs > promptMs);
  }

  /** From now on nothing is told any more. */
  close(): void {
    this.#isClosed = true;
  }

  export(spans: ReadableSpan[], done: Done): void {
    // Also where the collector failed: its failure is told here, and the library would tell it in its own way.
    const handled = () => done({ code: success });
    if (performance.now() < this.#pausedUntilMs) {
      this.#dropped += spans.length;
      handled();
      return;
    }
    this.#sentAtMs ??= performance.now();
    this.#inner.export(spans, ({ code, error }) => {
      this.#sentAtMs = undefined;
      if (this.#isClosed) return handled();
      if (code === success) this.#succeed();
      else this.#fail(spans.length, error);
      handled();
    });
  }

  async shutdown(): Promise<void> {
    await this.#inner.shutdown();
  }

  async forceFlush(): Promise<void> {
    await this.#inner.forceFlush?.();
  }

  #succeed(): void {
    if (this.#failures > 0) this.#tell.recovered({ spans: this.#dropped });
    this.#failures = 0;
    this.#dropped = 0;
  }

  #fail(spans: number, error: Error | undefined): void {
    this.#dropped += spans;
    // At its end a process sends several batches at once: they fail together.
    if (performance.now() < this.#pausedUntilMs) return;
    this.#failures += 1;
    const nextMs = pauseAfterMs(backoff, this.#failures);
    this.#pausedUntilMs = performance.now() + nextMs;
    this.#tell.failed(error?.message ?? "it gave no reason", { spans, nextMs });
  }
}
