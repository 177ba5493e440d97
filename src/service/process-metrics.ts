// Room: service. Owns what metrics say of the processes of `up`: what each uses of the machine, how often it was restarted.
import type { Component } from "../supervisor/child-plan.ts";
import { type Usage, usageOf, usageOfSessions } from "../system/process/usage.ts";
import type { Sample } from "./metrics.ts";

/** `up` itself, which no supervisor keeps. */
const upItself = "up";

interface ProcessMetric {
  /** As prom-client's own collectors call it. */
  readonly name: string;
  readonly kind: "counter" | "gauge";
  readonly help: string;
  readonly labels: readonly ["component"];
  readonly read: (usage: Usage) => number;
}

const labels = ["component"] as const;

export const processMetrics: readonly ProcessMetric[] = [
  {
    name: "process_cpu_seconds_total",
    kind: "counter",
    help: "Processor time of a component, with the processes that it has started",
    labels,
    read: ({ cpuSeconds }) => cpuSeconds,
  },
  {
    name: "process_resident_memory_bytes",
    kind: "gauge",
    help: "Memory of a component, with the processes that it has started",
    labels,
    read: ({ residentBytes }) => residentBytes,
  },
  {
    name: "process_open_fds",
    kind: "gauge",
    help: "Open descriptors of a component, with the processes that it has started",
    labels,
    read: ({ openFds }) => openFds,
  },
  {
    name: "process_start_time_seconds",
    kind: "gauge",
    help: "When a component was started, in seconds since 1970",
    labels,
    read: ({ startedSeconds }) => startedSeconds,
  },
];

export const restartMetric = {
  name: "snapmill_worker_restarts_total",
  kind: "counter",
  help: "How often a component was started again because it had died or hung",
  labels,
} as const;

/** By component: a process that does not run at the moment has none. */
export function readUsage(components: readonly Component[]): ReadonlyMap<string, Usage> {
  const bySession = usageOfSessions(components.flatMap(({ pid }) => pid ?? []));
  const usages = components.flatMap(({ component, pid }): [string, Usage][] => {
    const usage = pid === undefined ? undefined : bySession.get(pid);
    return usage === undefined ? [] : [[component, usage]];
  });
  return new Map(usages);
}

/** Of this process alone: it does not lead the session that it was started in. */
export function readOwnUsage(): ReadonlyMap<string, Usage> {
  const own = usageOf(process.pid);
  return new Map(own === undefined ? [] : [[upItself, own]]);
}

export const usageSamples = (usages: ReadonlyMap<string, Usage>): [string, Sample[]][] =>
  processMetrics.map(({ name, read }) => [
    name,
    [...usages].map(([component, usage]) => ({ labels: { component }, value: read(usage) })),
  ]);

export const restartSamples = (components: readonly Component[]): Sample[] =>
  components.map(({ component, restarts }) => ({ labels: { component }, value: restarts }));
