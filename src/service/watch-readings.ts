// Room: service. Owns what a watch takes from a reading of the metrics: the pool's state, its queues, doctor's last run.
import { quantileOf } from "../domain/quantile.ts";
import type { Watch } from "../domain/verdict-facts.ts";
import type { MetricReading } from "./metrics-reader.ts";

type Scraped = Pick<Watch, "driver" | "isAttached" | "poolState" | "oldestWaitingMs" | "doctor">;

export function scrapedIn(readings: readonly MetricReading[]): Scraped {
  const samples = (name: string) => readings.find((reading) => reading.name === name)?.samples ?? [];
  const valueWith = (name: string, label: string, value: string): number | undefined =>
    samples(name).find(({ labels }) => labels[label] === value)?.value;
  const driver = samples("snapmill_build_info")[0]?.labels["driver"] ?? "none";
  const isRead = valueWith("snapmill_scrape_incomplete", "part", "pool") === 0;
  const ages = "snapmill_queue_oldest_job_age_seconds";
  const [pool, unpack] = [valueWith(ages, "queue", "pool"), valueWith(ages, "queue", "unpack")];
  return {
    driver: driver === "none" ? null : driver,
    isAttached: isRead && driver !== "none" ? samples("snapmill_pool_used_bytes").length > 0 : null,
    poolState: samples("snapmill_pool_state").find(({ value }) => value === 1)?.labels["state"] ?? null,
    oldestWaitingMs: pool === undefined || unpack === undefined ? null : { pool: 1000 * pool, unpack: 1000 * unpack },
    doctor: doctorIn(samples),
  };
}

function doctorIn(samples: (name: string) => MetricReading["samples"]): Watch["doctor"] {
  const atMs = 1000 * (samples("snapmill_doctor_last_run_timestamp_seconds")[0]?.value ?? 0);
  if (atMs === 0) return null;
  return { atMs, findings: samples("snapmill_doctor_findings").reduce((sum, { value }) => sum + value, 0) };
}

/** The share of operations that take no longer than is usual. */
const usualShare = 0.95;
const fewestOperations = 20;

/** By job: how long the operations that succeeded usually take, in milliseconds. */
export function usualDurationsIn(readings: readonly MetricReading[]): ReadonlyMap<string, number> {
  const name = "snapmill_operation_duration_seconds";
  const samples = readings.find((reading) => reading.name === name)?.samples ?? [];
  const ofSuccess = samples.filter(
    ({ metricName, labels }) => metricName === `${name}_bucket` && labels["code"] === "ok",
  );
  const usual = [...Map.groupBy(ofSuccess, ({ labels }) => labels["operation"] ?? "")].flatMap(([job, found]) => {
    const buckets = found.map(({ labels, value }) => {
      return { bound: labels["le"] === "+Inf" ? Number.POSITIVE_INFINITY : Number(labels["le"]), count: value };
    });
    const seconds = quantileOf(buckets, usualShare, fewestOperations);
    return seconds === undefined ? [] : [[job, 1000 * seconds] as const];
  });
  return new Map(usual);
}
