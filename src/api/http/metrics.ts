// Room: api. Owns /metrics: the service's metrics in Prometheus's format.
import { Gauge, Registry } from "prom-client";
import type { MetricReading } from "../../service/metrics.ts";

/** The readings in Prometheus's text format, and its media type. */
export async function prometheusText(readings: readonly MetricReading[]): Promise<{ text: string; type: string }> {
  const registry = new Registry();
  for (const { name, help, labels, samples } of readings) {
    const gauge = new Gauge({ name, help, labelNames: [...labels], registers: [registry] });
    for (const { labels: values, value } of samples) gauge.set(values, value);
  }
  return { text: await registry.metrics(), type: registry.contentType };
}

/**
 * Requests that come while one is read for are answered with what it reads: a reading asks Redis, the disk and dmsetup.
 */
export function shared<T>(read: () => Promise<T>): () => Promise<T> {
  let reading: Promise<T> | undefined;
  return () => {
    reading ??= read().finally(() => {
      reading = undefined;
    });
    return reading;
  };
}
