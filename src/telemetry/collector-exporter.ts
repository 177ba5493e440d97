// Room: telemetry. Owns the requests that carry spans to the collector: one attempt for each batch, and no request outlives its time.
import { convertLegacyHttpOptions } from "@opentelemetry/otlp-exporter-base/node-http";
import { JsonTraceSerializer } from "@opentelemetry/otlp-transformer";
import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace-base";
import { AbortReason, Canceller } from "../domain/cancellation.ts";
import { startTimer } from "../domain/timers.ts";

type Done = Parameters<SpanExporter["export"]>[1];
/** ExportResultCode */
const [success, failed] = [0, 1];

/**
 * The library's own exporter tries again by itself for ten seconds, and says so only then: a command would wait at its
 * end for a collector that is not there. When to try again is PatientExporter's to say. Address, headers, certificates,
 * compression and time limit are read from OTEL_EXPORTER_OTLP_*, as by the library's.
 */
export class CollectorExporter implements SpanExporter {
  readonly #options = convertLegacyHttpOptions({}, "TRACES", "v1/traces", { "content-type": "application/json" });
  readonly #ended = new Canceller();
  readonly #underWay = new Set<Promise<void>>();

  get timeoutMs(): number {
    return this.#options.timeoutMillis;
  }

  export(spans: ReadableSpan[], done: Done): void {
    const sent = this.#report(spans, done);
    this.#underWay.add(sent);
    void sent.finally(() => this.#underWay.delete(sent));
  }

  async #report(spans: ReadableSpan[], done: Done): Promise<void> {
    let outcome: Parameters<Done>[0] = { code: success };
    try {
      await this.#send(spans);
    } catch (error) {
      outcome = { code: failed, error: new Error(reasonOf(error)) };
    }
    done(outcome);
  }

  async forceFlush(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  shutdown(): Promise<void> {
    return this.forceFlush();
  }

  /** Gives up what is under way. */
  abandon(): void {
    this.#ended.cancel(new AbortReason("cancelled", "the process ends"));
  }

  async #send(spans: ReadableSpan[]): Promise<void> {
    const body = JsonTraceSerializer.serializeRequest(spans);
    if (body === undefined) throw new Error("the spans cannot be written as JSON");
    const { url, headers, compression, timeoutMillis } = this.#options;
    const late = new Canceller();
    const reason = new AbortReason("deadline", `it has not answered within ${timeoutMillis / 1000} s`);
    using _limit = startTimer(timeoutMillis, () => late.cancel(reason));
    const isCompressed = String(compression) === "gzip";
    const response = await fetch(url, {
      method: "POST",
      headers: { ...(await headers()), ...(isCompressed && { "content-encoding": "gzip" }) },
      body: isCompressed ? Bun.gzipSync(Uint8Array.from(body)) : Uint8Array.from(body),
      // Elsewhere the headers might be told to someone else.
      redirect: "manual",
      signal: AbortSignal.any([this.#ended.signal, late.signal]),
      ...(await this.#tls()),
    });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`it answered with ${`${response.status} ${response.statusText}`.trim()}`);
  }

  /** The library hands the certificates to the agent of node's client, which has no use here but to tell them. */
  async #tls(): Promise<Pick<BunFetchRequestInit, "tls">> {
    const { url, agentFactory } = this.#options;
    if (!url.startsWith("https:")) return {};
    return { tls: certificatesIn(await agentFactory("https:")) };
  }
}

/** Of the runtime's own sentence, only the code is of use. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "code" in error && !(error instanceof AbortReason)
    ? `it cannot be reached (${String(error.code)})`
    : error.message;
}

function certificatesIn(agent: object): NonNullable<BunFetchRequestInit["tls"]> {
  const { options = {} } = agent as { readonly options?: NonNullable<BunFetchRequestInit["tls"]> };
  const { ca, cert, key } = options;
  return { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
}
