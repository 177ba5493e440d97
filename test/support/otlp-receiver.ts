// Room: test. Owns a collector of traces for a test: it takes spans over OTLP, as JSON, and knows how they hang together.
import { z } from "zod";

const value = z
  .object({
    stringValue: z.string(),
    intValue: z.union([z.number(), z.string()]),
    doubleValue: z.number(),
    boolValue: z.boolean(),
    arrayValue: z.object({ values: z.array(z.object({ stringValue: z.string() })).default([]) }),
  })
  .partial();
const attributes = z.array(z.object({ key: z.string(), value })).default([]);

const exported = z.object({
  resourceSpans: z.array(
    z.object({
      resource: z.object({ attributes }),
      scopeSpans: z.array(
        z.object({
          spans: z.array(
            z.object({
              traceId: z.string(),
              spanId: z.string(),
              parentSpanId: z.string().optional(),
              name: z.string(),
              kind: z.number(),
              startTimeUnixNano: z.string(),
              endTimeUnixNano: z.string(),
              attributes,
              status: z.object({ code: z.number().default(0), message: z.string().optional() }),
            }),
          ),
        }),
      ),
    }),
  ),
});

type Plain = string | number | boolean | readonly string[] | undefined;

export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly name: string;
  readonly attributes: Readonly<Record<string, Plain>>;
  /** Of the process that made it. */
  readonly resource: Readonly<Record<string, Plain>>;
  readonly hasFailed: boolean;
  readonly durationMs: number;
}

export class OtlpReceiver implements Disposable {
  readonly spans: ReceivedSpan[] = [];
  /** The Authorization of each request. */
  readonly authorizations: (string | null)[] = [];
  /** All that was sent, as text. */
  received = "";
  /** What the next requests are answered with. */
  status = 200;
  readonly #server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      const text = await request.text();
      this.authorizations.push(request.headers.get("authorization"));
      if (this.status === 200) this.#take(text);
      return Response.json({}, { status: this.status });
    },
  });

  get endpoint(): string {
    return `http://127.0.0.1:${String(this.#server.port)}`;
  }

  /** The environment of processes that are to send their spans here, soon. */
  get environment(): Record<string, string> {
    return { OTEL_EXPORTER_OTLP_ENDPOINT: this.endpoint, OTEL_BSP_SCHEDULE_DELAY: "200" };
  }

  named(name: string): readonly ReceivedSpan[] {
    return this.spans.filter((span) => span.name === name);
  }

  /** The names from the first span of the trace that was received down to this one. */
  pathOf(span: ReceivedSpan): string[] {
    const above = this.spans.find(({ traceId, spanId }) => traceId === span.traceId && spanId === span.parentSpanId);
    return [...(above === undefined ? [] : this.pathOf(above)), span.name];
  }

  [Symbol.dispose](): void {
    void this.#server.stop(true);
  }

  #take(text: string): void {
    this.received += text;
    for (const { resource, scopeSpans } of exported.parse(JSON.parse(text)).resourceSpans) {
      for (const span of scopeSpans.flatMap(({ spans }) => spans)) {
        this.spans.push({
          ...span,
          parentSpanId: span.parentSpanId === "" ? undefined : span.parentSpanId,
          attributes: plain(span.attributes),
          resource: plain(resource.attributes),
          hasFailed: span.status.code === 2,
          durationMs: Number(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1e6,
        });
      }
    }
  }
}

const plain = (given: z.infer<typeof attributes>): Record<string, Plain> =>
  Object.fromEntries(given.map(({ key, value: of }) => [key, plainValue(of)]));

function plainValue({ stringValue, intValue, doubleValue, boolValue, arrayValue }: z.infer<typeof value>): Plain {
  if (intValue !== undefined) return Number(intValue);
  return stringValue ?? doubleValue ?? boolValue ?? arrayValue?.values.map((item) => item.stringValue);
}
