// Room: bench. Owns the driver's own share of a prepare and a commit: the same ones, made in process, on a pool alone.
import { mkdirSync } from "node:fs";
import { type Config, paths, poolSettings } from "../src/config.ts";
import { freshOperationId, ownScope, snapshotKey } from "../src/domain/identifiers.ts";
import { createDriver } from "../src/drivers/open.ts";
import type { Driver } from "../src/drivers/port.ts";
import { openDatabase } from "../src/metadata/database.ts";
import { createSnapshotter, type Snapshotter } from "../src/snapshotter/snapshotter.ts";
import { ms, percentile, printTable } from "./measure.ts";

/** Measures `count` prepares and commits on a new pool, after as many that nobody looks at. */
export async function measureDriver(config: Config, count: number): Promise<void> {
  mkdirSync(paths.poolDir(config), { recursive: true });
  const stopwatch = { driverMs: 0 };
  const real = createDriver(poolSettings(config));
  await real.open();
  try {
    using database = openDatabase(paths.database(config), { mode: "readwrite" });
    const { pool, fsType, deviceSizeBytes } = config;
    const driver = timed(real, stopwatch);
    const snapshotter = createSnapshotter({ database, driver, pool, fsType, deviceSizeBytes });
    await snapshotter.recover();
    await measureVerbs(snapshotter, stopwatch, count);
    await snapshotter.drain();
  } finally {
    await real.close();
  }
}

interface Stopwatch {
  driverMs: number;
}

/** The driver, with the time that its calls take added up. */
const timed = (driver: Driver, stopwatch: Stopwatch): Driver =>
  new Proxy(driver, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      return (...args: readonly unknown[]): unknown => {
        const startedAt = performance.now();
        const result: unknown = Reflect.apply(member, target, args);
        const stop = () => (stopwatch.driverMs += performance.now() - startedAt);
        return result instanceof Promise ? result.finally(stop) : result;
      };
    },
  });

async function measureVerbs(snapshotter: Snapshotter, stopwatch: Stopwatch, count: number): Promise<void> {
  const samples = { prepare: { driver: [], whole: [] }, commit: { driver: [], whole: [] } };
  const measure = async (into: { driver: number[]; whole: number[] }, verb: () => Promise<unknown>) => {
    const [startedAt, driverBefore] = [performance.now(), stopwatch.driverMs];
    await verb();
    into.whole.push(performance.now() - startedAt);
    into.driver.push(stopwatch.driverMs - driverBefore);
  };
  const given = (key: string) => ({ scope: ownScope, key: snapshotKey(key), labels: {} });
  await snapshotter.prepare(freshOperationId(), given("base-active"));
  await snapshotter.commit(freshOperationId(), { ...given("base-active"), name: snapshotKey("base") });
  for (let index = -count; index < count; index += 1) {
    if (index === 0) for (const { driver, whole } of Object.values(samples)) driver.length = whole.length = 0;
    const request = { ...given(`key ${index}`), parent: snapshotKey("base") };
    await measure(samples.prepare, () => snapshotter.prepare(freshOperationId(), request));
    const commit = { ...given(`key ${index}`), name: snapshotKey(`layer ${index}`) };
    await measure(samples.commit, () => snapshotter.commit(freshOperationId(), commit));
  }
  const figures = (times: readonly number[]) => [ms(percentile(times, 0.5)), ms(percentile(times, 0.99))];
  printTable(
    "The driver's own time, and with the records of it, in process",
    ["verb", "driver p50", "p99", "in process p50", "p99"],
    Object.entries(samples).map(([verb, { driver, whole }]) => [verb, ...figures(driver), ...figures(whole)]),
  );
}
