// Room: api. Owns /metrics: the service's metrics in Prometheus's format.
import { AggregatorRegistry } from "prom-client";
import type { MetricReading } from "../../service/metrics-reader.ts";

/** The readings of several pools, and of `up` itself, in Prometheus's text format, and its media type. */
export async function prometheusText(
  readings: readonly (readonly MetricReading[])[],
): Promise<{ text: string; type: string }> {
  const registry = AggregatorRegistry.aggregate(
    readings.map((ofOne) =>
      ofOne.map(({ name, help, kind, samples }) => ({ name, help, type: kind, values: samples, aggregator: "sum" })),
    ),
  );
  return { text: await registry.metrics(), type: registry.contentType };
}
