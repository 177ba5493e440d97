// Room: telemetry. Owns OpenTelemetry's library as this process uses it. Loaded only where traces are asked for.
import { DiagLogLevel, diag } from "@opentelemetry/api";
import { detectResources, envDetector, resourceFromAttributes } from "@opentelemetry/resources";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { inTime } from "../domain/timers.ts";
import { CollectorExporter } from "./collector-exporter.ts";
import { type ExporterTold, PatientExporter } from "./patient-exporter.ts";
import { Spans } from "./spans.ts";

/** How long the last spans of a process may take to be sent. */
const flushMs = 2_000;
/** The same where the collector has not taken the ones before. */
const hopelessFlushMs = 250;
/** Longer than the exporter takes: it says why, and only then comes the next batch. */
const marginMs = 1_000;

export interface TracingOptions extends ExporterTold {
  /** Which of snapmill's processes this is: "up", "pool". */
  readonly process: string;
  readonly version: string;
  /** What the library says of its configuration. */
  readonly complain: (sentence: string) => void;
  /** The last spans could not be sent within the time that this may take. */
  readonly late: (withinMs: number) => void;
}

export interface Tracing extends AsyncDisposable {
  readonly spans: Spans;
}

/**
 * The library reads OTEL_EXPORTER_OTLP_*, OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER and OTEL_BSP_*
 * itself. Spans wait in a queue of 2,048; those that find it full are dropped. Disposal sends what waits, within two
 * seconds, or a quarter of one where the collector has failed.
 */
export function openTracing({ process: name, version, complain, late, ...tell }: TracingOptions): Tracing {
  diag.setLogger({ ...silent, error: complain }, { logLevel: DiagLogLevel.ERROR, suppressOverrideMessage: true });
  const known = {
    "service.name": "snapmill",
    "service.version": version,
    "service.instance.id": `${name}-${process.pid}`,
  };
  const resource = resourceFromAttributes({ ...known, "snapmill.process": name, "process.pid": process.pid });
  const collector = new CollectorExporter();
  const exporter = new PatientExporter(collector, tell);
  const exportTimeoutMillis = collector.timeoutMs + marginMs;
  const provider = new BasicTracerProvider({
    resource: resource.merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [new BatchSpanProcessor(exporter, { exportTimeoutMillis })],
  });
  return {
    spans: new Spans(provider.getTracer("snapmill", version)),
    [Symbol.asyncDispose]: async () => {
      const withinMs = exporter.isFailing ? hopelessFlushMs : flushMs;
      const sent = provider.shutdown().then(
        () => true,
        () => true,
      );
      if ((await inTime(withinMs, sent)) === undefined) late(withinMs);
      exporter.close();
      collector.abandon();
    },
  };
}

const silent = {
  error: () => undefined,
  warn: () => undefined,
  info: () => undefined,
  debug: () => undefined,
  verbose: () => undefined,
};
