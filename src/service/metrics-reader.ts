// Room: service. Owns a scrape: every metric of a pool and its processes, read in bounded time, with what is missing named.
import type { Config } from "../config.ts";
import { declarationOf, type ObservedName, observedNames } from "../domain/observed-metrics.ts";
import { shared } from "../domain/shared.ts";
import { labelNamesOf, observed, type Series } from "../domain/tally.ts";
import { inTime } from "../domain/timers.ts";
import type { Component } from "../supervisor/child-plan.ts";
import { type Found, type Sample, statusGauges } from "./metrics.ts";
import {
  processMetrics,
  readOwnUsage,
  readUsage,
  restartMetric,
  restartSamples,
  usageSamples,
} from "./process-metrics.ts";
import { readMetadata, readQueues, unknownQueues } from "./status.ts";

export interface MetricDeclaration {
  readonly name: string;
  readonly kind: "counter" | "gauge" | "histogram";
  readonly help: string;
  /** Besides `pool`. */
  readonly labels: readonly string[];
}

const buildInfo = {
  name: "snapmill_build_info",
  kind: "gauge",
  help: "Always 1; the labels are snapmill's version and the pool's driver (none: there is no pool yet)",
  labels: ["version", "driver"],
} as const;

/** Every metric, in the order in which /metrics shows them; docs/METRICS.md describes the same ones. */
export const metrics: readonly MetricDeclaration[] = [
  buildInfo,
  ...statusGauges.map(({ name, help, labels }) => ({ name, kind: "gauge" as const, help, labels })),
  ...observedNames.map(declarationOfObserved),
  restartMetric,
  ...processMetrics,
];

function declarationOfObserved(name: ObservedName): MetricDeclaration {
  const { kind, help } = declarationOf(name);
  return { name, kind, help, labels: labelNamesOf(name) };
}

export interface MetricReading extends MetricDeclaration {
  /** Each with the pool's name, unless it is of `up` itself. */
  readonly samples: readonly Sample[];
}

/** What `up` knows of its processes. */
export interface Watched {
  readonly observed: { readonly series: readonly Series[] };
  readonly components: readonly Component[];
}

/** Of this process, which is of no pool. */
export const readOwnMetrics = (): MetricReading[] =>
  readingsOf(new Map([...samplesOf(observed.series), ...usageSamples(readOwnUsage())]));

/** A metric without samples is left out. */
const readingsOf = (samples: ReadonlyMap<string, readonly Sample[]>, others = {}): MetricReading[] =>
  metrics.flatMap((metric) => {
    const known = samples.get(metric.name) ?? [];
    const own = known.map((sample) => ({ ...sample, labels: { ...others, ...sample.labels } }));
    return own.length === 0 ? [] : [{ ...metric, samples: own }];
  });

/** Redis answers within a second or says why not; the kernel may take its time with the pool. */
const partWithinMs = 3_000;

/** Reads for one pool. A part that has not answered in time is not asked again before it has. */
export class MetricsReader {
  readonly #config: Config;
  readonly #version: string;
  readonly #watched: Watched;
  readonly #queues: () => Promise<Awaited<ReturnType<typeof readQueues>>>;
  readonly #metadata: () => Promise<Awaited<ReturnType<typeof readMetadata>>>;

  constructor(config: Config, version: string, watched: Watched) {
    this.#config = config;
    this.#version = version;
    this.#watched = watched;
    this.#queues = shared(() => readQueues(config));
    this.#metadata = shared(() => readMetadata(config));
  }

  /** Takes bounded time, and does not fail: a metric that is unknown is left out, and the scrape says so. */
  async read(): Promise<MetricReading[]> {
    const [queues = unknownQueues, metadata = null] = await Promise.all([
      inTime(
        partWithinMs,
        this.#queues().catch(() => undefined),
      ),
      inTime(
        partWithinMs,
        this.#metadata().catch(() => undefined),
      ),
    ]);
    const found: Found = { ...queues, metadata };
    const samples = new Map<string, readonly Sample[]>(this.#watchedSamples());
    for (const { name, read } of statusGauges) samples.set(name, read(found) ?? []);
    const labels = { version: this.#version, driver: metadata?.driver ?? "none" };
    samples.set(buildInfo.name, [{ labels, value: 1 }]);
    return readingsOf(samples, { pool: this.#config.pool });
  }

  #watchedSamples(): [string, readonly Sample[]][] {
    const { observed: totals, components } = this.#watched;
    const restarts: [string, Sample[]] = [restartMetric.name, restartSamples(components)];
    return [...samplesOf(totals.series), restarts, ...usageSamples(readUsage(components))];
  }
}

/** The samples of each metric, as Prometheus wants them: a bucket counts what is in those below it, too. */
export function samplesOf(series: readonly Series[]): [string, Sample[]][] {
  const byName = Map.groupBy(series, ({ name }) => name);
  return [...byName].map(([name, ofIt]) => [name, ofIt.flatMap(asSamples)]);
}

function asSamples({ name, values, amounts }: Series): Sample[] {
  const labels = Object.fromEntries(labelNamesOf(name).map((label, index) => [label, values[index] ?? ""]));
  const { buckets } = declarationOf(name);
  const [count = 0, sum = 0, ...inBuckets] = amounts;
  if (buckets === undefined) return [{ labels, value: count }];
  let upTo = 0;
  const cumulative = buckets.map((bound, index) => {
    upTo += inBuckets[index] ?? 0;
    return { metricName: `${name}_bucket`, labels: { ...labels, le: String(bound) }, value: upTo };
  });
  return [
    ...cumulative,
    { metricName: `${name}_bucket`, labels: { ...labels, le: "+Inf" }, value: count },
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ];
}
