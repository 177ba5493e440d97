// Room: telemetry. Owns the way of spans to the collector: one that cannot be reached is left alone for a while, and said once.
import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace-base";
import { type Backoff, pauseAfterMs } from "../domain/backoff.ts";

type Done = Parameters<SpanExporter["export"]>[1];
/** ExportResultCode.SUCCESS */
const success = 0;

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

  constructor(inner: SpanExporter, tell: ExporterTold) {
    this.#inner = inner;
    this.#tell = tell;
  }

  export(spans: ReadableSpan[], done: Done): void {
    // Also where the collector failed: its failure is told here, and the library would tell it in its own way.
    const handled = () => done({ code: success });
    if (performance.now() < this.#pausedUntilMs) {
      this.#dropped += spans.length;
      handled();
      return;
    }
    this.#inner.export(spans, ({ code, error }) => {
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
    this.#failures += 1;
    this.#dropped += spans;
    const nextMs = pauseAfterMs(backoff, this.#failures);
    this.#pausedUntilMs = performance.now() + nextMs;
    this.#tell.failed(error?.message ?? "it gave no reason", { spans, nextMs });
  }
}
