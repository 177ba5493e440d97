// Room: test. Owns the dashboard at work: each of its queries, asked of a real Prometheus that scrapes a real `up`.
import { expect } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { prometheusText } from "../../src/api/http/metrics.ts";
import { paths } from "../../src/config.ts";
import { noItems } from "../../src/domain/batches.ts";
import { type Found, statusGauges } from "../../src/service/metrics.ts";
import { metrics } from "../../src/service/metrics-reader.ts";
import { unknownQueues } from "../../src/service/status.ts";
import { Place, untilHealthy, urlIn } from "../supervisor/running-up.ts";
import { temporaryDirectory } from "../support/directories.ts";
import { type Found as FoundSeries, Prometheus } from "../support/prometheus.ts";
import { Registry, registryPrograms } from "../support/registry.ts";
import { writeSmallImage } from "../support/small-image.ts";
import { testWith } from "../support/tools.ts";
import { until } from "../support/until.ts";
import { dashboard, expressionsOf, panelsOf } from "./dashboard-json.ts";

const alerts = join(import.meta.dir, "../../docs/monitoring/alerts.yml");
const timeoutMs = 400_000;

/** A thin-pool's gauges, which a pool of files does not have, as its snapmill would show them. */
const thinPool: Found = {
  ...unknownQueues,
  metadata: {
    driver: "devmapper",
    snapshots: { active: 0, view: 0, committed: 0 },
    devices: {},
    hold: null,
    pendingUnpacks: 0,
    batchItems: noItems,
    pendingRemovals: 0,
    failedRemovals: 0,
    discardedRemovals: 0,
    setAside: 0,
    space: { usedBytes: 10, totalBytes: 100 },
    metadataSpace: { usedBytes: 1, totalBytes: 4 },
    poolState: "rw",
  },
};

function serveThinPool() {
  const readings = metrics.flatMap((metric) => {
    const gauge = statusGauges.find(({ name }) => name === metric.name);
    const samples = gauge?.read(thinPool) ?? [];
    return [{ ...metric, samples: samples.map((each) => ({ ...each, labels: { pool: "thin", ...each.labels } })) }];
  });
  return Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch() {
      const { text, type } = await prometheusText([readings]);
      return new Response(text, { headers: { "content-type": type } });
    },
  });
}

/** As Grafana asks, with a choice of its variables. */
function asked(expression: string): string {
  const pool = expression.includes("snapmill_pool_state") ? "thin" : "default";
  return expression.replaceAll("$instance", ".*").replaceAll("$pool", pool).replaceAll("$__rate_interval", "2m");
}

const queries = (): readonly string[] => [
  ...panelsOf(dashboard).flatMap(expressionsOf),
  ...dashboard.annotations.list.map(({ expr }) => expr),
];

/** The metric and the label in `label_values(metric, label)`. */
function variableQueries(): [metric: string, label: string][] {
  return dashboard.templating.list.flatMap(({ query }) => {
    if (typeof query === "string") return [];
    const [, metric = "", label = ""] = /^label_values\((.+), (\w+)\)$/.exec(query.query) ?? [];
    return [[metric, label] satisfies [string, string]];
  });
}

const hasData = (found: readonly FoundSeries[]): boolean => found.some(({ value }) => Number.isFinite(value));

testWith(
  [...registryPrograms, "prometheus"],
  "every query of the dashboard finds data of a snapmill that has worked, and every rule can be evaluated",
  async () => {
    await using directory = await temporaryDirectory();
    await using registry = await Registry.start(join(directory.path, "registry"));
    const small = await writeSmallImage(join(directory.path, "small"));
    const image = await registry.push(small.reference, "org/small:v1");
    using place = new Place({ SNAPMILL_ASYNC_REMOVE: "true" });
    await using up = place.up();
    const url = urlIn(await up.ready());
    await using thin = serveThinPool();
    const password = readFileSync(paths.httpToken(place.config), "utf8").trim();
    await using prometheus = await Prometheus.start(
      join(directory.path, "prometheus"),
      [{ host: url.replace("http://", ""), password }, { host: thin.url.host }],
      alerts,
    );
    await until(
      "both targets are scraped",
      () => prometheus.find("up == 1"),
      ({ length }) => length === 2,
      60_000,
    );

    expect(await place.run("unpack", "--plain-http", image)).toMatchObject({ exitCode: 0 });
    expect((await place.run("unpack", "--plain-http", `${registry.host}/org/none:v1`)).exitCode).not.toBe(0);
    expect(await place.run("prepare", "a")).toMatchObject({ exitCode: 0 });
    expect(await place.run("rm", "a")).toMatchObject({ exitCode: 0 });
    expect((await place.run("commit", "no-such-key", "b")).exitCode).not.toBe(0);
    for (const pid of place.pidsOf("workers/grpc.ts")) process.kill(pid, "SIGKILL");
    await untilHealthy(url);

    const left = new Set(queries());
    await until(
      "every query has found data",
      async () => {
        for (const query of left) if (hasData(await prometheus.find(asked(query)))) left.delete(query);
        return [...left];
      },
      ({ length }) => length === 0,
      90_000,
    );
    for (const [metric, label] of variableQueries()) {
      const found = await prometheus.find(asked(metric));
      expect(
        found.map(({ labels }) => labels[label] ?? "").filter((value) => value !== ""),
        metric,
      ).not.toEqual([]);
    }
    const rules = await until(
      "every rule was evaluated",
      () => prometheus.rules(),
      (evaluated) => evaluated.every(({ health }) => health !== "unknown"),
      60_000,
    );
    expect(rules.filter(({ health }) => health !== "ok")).toEqual([]);
    expect(rules.length).toBeGreaterThan(9);
    expect(await up.end("SIGTERM")).toBe(0);
    expect(place.residue()).toEqual([]);
  },
  timeoutMs,
);
