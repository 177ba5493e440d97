// Room: bench. Owns the driver's share of a prepare and a commit: in process, and over the socket.
import { mkdirSync } from "node:fs";
import { type Config, paths, poolSettings } from "../src/config.ts";
import { freshOperationId, ownScope, snapshotKey } from "../src/domain/identifiers.ts";
import { createDriver } from "../src/drivers/open.ts";
import type { Driver } from "../src/drivers/port.ts";
import { openDatabase } from "../src/metadata/database.ts";
import { createSnapshotter, type Snapshotter } from "../src/snapshotter/snapshotter.ts";
import type { SnapshotsClient } from "../test/api/grpc/client.ts";
import { median, ms, percentile, printTable } from "./measure.ts";

/**
 * Measures `count` prepares and commits in process, on a new pool, and over the socket of a running service, in turns:
 * a disk that was left alone for some milliseconds takes longer to flush, the driver's files as well as the records.
 * As many unmeasured ones come first, to warm up.
 */
export async function measureDriver(config: Config, service: SnapshotsClient, count: number): Promise<void> {
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
    await measureVerbs({ snapshotter, service, stopwatch }, count);
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

interface Measured {
  readonly snapshotter: Snapshotter;
  readonly service: SnapshotsClient;
  readonly stopwatch: Stopwatch;
}

/** Milliseconds of each turn. */
interface Samples {
  readonly driver: number[];
  readonly inProcess: number[];
  readonly socket: number[];
}

async function measureVerbs({ snapshotter, service, stopwatch }: Measured, count: number): Promise<void> {
  const empty = (): Samples => ({ driver: [], inProcess: [], socket: [] });
  const samples = { prepare: empty(), commit: empty() };
  const took = async (action: () => Promise<unknown>): Promise<number> => {
    const startedAt = performance.now();
    await action();
    return performance.now() - startedAt;
  };
  const measure = async (into: Samples, inProcess: () => Promise<unknown>, overSocket: () => Promise<unknown>) => {
    const driverBefore = stopwatch.driverMs;
    into.inProcess.push(await took(inProcess));
    into.driver.push(stopwatch.driverMs - driverBefore);
    into.socket.push(await took(overSocket));
  };
  const given = (key: string) => ({ scope: ownScope, key: snapshotKey(key), labels: {} });
  const prepare = async (key: string, parent?: string) => {
    const request = { ...given(key), ...(parent !== undefined && { parent: snapshotKey(parent) }) };
    await measure(
      samples.prepare,
      () => snapshotter.prepare(freshOperationId(), request),
      () => service.call("prepare", { key, ...(parent !== undefined && { parent }) }),
    );
  };
  const commit = (key: string, name: string) =>
    measure(
      samples.commit,
      () => snapshotter.commit(freshOperationId(), { ...given(key), name: snapshotKey(name) }),
      () => service.call("commit", { key, name }),
    );
  await prepare("turns base-active");
  await commit("turns base-active", "turns base");
  for (let index = -count; index < count; index += 1) {
    if (index === 0)
      for (const each of Object.values(samples)) for (const times of Object.values(each)) times.length = 0;
    await prepare(`turns ${index}`, "turns base");
    await commit(`turns ${index}`, `turns layer ${index}`);
  }
  const figures = (times: readonly number[]) => [ms(percentile(times, 0.5)), ms(percentile(times, 0.99))];
  printTable(
    "The driver's own time, with the records of it in process, and over the socket, in turns",
    ["verb", "driver p50", "p99", "in process p50", "p99", "socket p50", "p99", "socket above driver"],
    Object.entries(samples).map(([verb, { driver, inProcess, socket }]) => [
      verb,
      ...figures(driver),
      ...figures(inProcess),
      ...figures(socket),
      ms(median(socket) - median(driver)),
    ]),
  );
}
