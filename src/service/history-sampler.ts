// Room: service. Owns what the history takes from a reading of the metrics: what stands, and what has happened since.
import type { Failures, HistoryPoint } from "../domain/history.ts";
import type { MetricReading } from "./metrics-reader.ts";

/** What only grows while `up` runs. */
interface Counters {
  readonly unpackedBytes: number;
  readonly unpackedLayers: number;
  readonly restarts: number;
  readonly failures: Failures;
}

const nothing: Counters = { unpackedBytes: 0, unpackedLayers: 0, restarts: 0, failures: {} };

/** Samples of one pool: each says what has happened since the one before. */
export class HistorySampler {
  #before = nothing;
  #takenMs = performance.now();

  take(readings: readonly MetricReading[], { atMs, isReady }: { atMs: number; isReady: boolean }): HistoryPoint {
    const now = countersIn(readings);
    const before = this.#before;
    this.#before = now;
    // Not of the clock, which may be set.
    const takenMs = performance.now();
    const elapsedMs = Math.round(takenMs - this.#takenMs);
    this.#takenMs = takenMs;
    const standing = standingIn(readings);
    return {
      atMs,
      samples: 1,
      spaceSamples: Number(standing.dataUsedBytes !== null),
      readySamples: Number(isReady),
      elapsedMs,
      ...standing,
      unpackedBytes: grown(now.unpackedBytes, before.unpackedBytes),
      unpackedLayers: grown(now.unpackedLayers, before.unpackedLayers),
      restarts: grown(now.restarts, before.restarts),
      failures: grownFailures(now.failures, before.failures),
    };
  }
}

/** A pool that is served anew begins at 0 again. */
const grown = (now: number, before: number): number => (now >= before ? now - before : now);

const grownFailures = (now: Failures, before: Failures): Failures =>
  Object.fromEntries(
    Object.entries(now)
      .map(([name, count]) => [name, grown(count, before[name] ?? 0)] as const)
      .filter(([, count]) => count > 0),
  );

function standingIn(readings: readonly MetricReading[]) {
  const values = (name: string, labels: Readonly<Record<string, string>> = {}): readonly number[] =>
    samplesOf(readings, name)
      .filter((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value))
      .map(({ value }) => value);
  const sum = (...given: Parameters<typeof values>) => {
    const found = values(...given);
    return found.length === 0 ? null : found.reduce((total, value) => total + value, 0);
  };
  const ages = values("snapmill_queue_oldest_job_age_seconds");
  return {
    dataUsedBytes: sum("snapmill_pool_used_bytes", { area: "data" }),
    dataTotalBytes: sum("snapmill_pool_size_bytes", { area: "data" }),
    metadataUsedBytes: sum("snapmill_pool_used_bytes", { area: "metadata" }),
    metadataTotalBytes: sum("snapmill_pool_size_bytes", { area: "metadata" }),
    snapshots: sum("snapmill_snapshots"),
    devices: sum("snapmill_devices"),
    pendingRemovals: sum("snapmill_removals", { state: "pending" }),
    failedRemovals: sum("snapmill_removals", { state: "failed" }),
    waitingJobs: sum("snapmill_queue_jobs", { state: "waiting" }),
    oldestWaitingMs: ages.length === 0 ? null : Math.round(1000 * Math.max(...ages)),
    runningUnpacks: sum("snapmill_queue_jobs", { queue: "unpack", state: "active" }),
  };
}

function countersIn(readings: readonly MetricReading[]): Counters {
  const sum = (name: string, result?: string) =>
    samplesOf(readings, name)
      .filter(({ labels }) => result === undefined || labels["result"] === result)
      .reduce((total, { value }) => total + value, 0);
  return {
    unpackedBytes: sum("snapmill_unpack_written_bytes_total"),
    unpackedLayers: sum("snapmill_layers_total", "unpacked"),
    restarts: sum("snapmill_worker_restarts_total"),
    failures: failuresIn(readings),
  };
}

const samplesOf = (readings: readonly MetricReading[], name: string): MetricReading["samples"] =>
  readings.find((reading) => reading.name === name)?.samples ?? [];

function failuresIn(readings: readonly MetricReading[]): Failures {
  const durations = samplesOf(readings, "snapmill_operation_duration_seconds");
  const counts = durations.flatMap(({ metricName, labels, value }): [string, number][] => {
    const { operation = "", code = "" } = labels;
    const isCount = metricName?.endsWith("_count") === true;
    return isCount && value > 0 && isFailure(operation, code) ? [[`${operation} ${code}`, value]] : [];
  });
  return Object.fromEntries(counts);
}

/** That a snapshot is there already, or is not there, is what clients ask about: only an unpack fails by it. */
const isFailure = (operation: string, code: string): boolean =>
  code !== "ok" && (operation === "unpack" || (code !== "already_exists" && code !== "not_found"));
