// Room: test. Owns /metrics of a real `up`: what its workers observed, through their deaths, and with Redis away.
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { paths } from "../../src/config.ts";
import { writeSmallImage } from "../support/small-image.ts";
import { until } from "../support/until.ts";
import { Place, untilHealthy, urlIn } from "./running-up.ts";

const timeoutMs = 240_000;

/** Samples by name and labels, as /metrics shows them. */
type Samples = ReadonlyMap<string, number>;

async function scrape(place: Place, url: string): Promise<Samples> {
  const token = readFileSync(paths.httpToken(place.config), "utf8").trim();
  const answer = await fetch(`${url}/metrics`, { headers: { authorization: `Basic ${btoa(`snapmill:${token}`)}` } });
  expect(answer.status).toBe(200);
  const lines = (await answer.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]),
  );
}

/** The samples once all of `wanted` are at least that much. */
const untilAtLeast = (place: Place, url: string, wanted: Readonly<Record<string, number>>): Promise<Samples> =>
  until(
    `at least ${JSON.stringify(wanted)}`,
    () => scrape(place, url),
    (samples) => Object.entries(wanted).every(([name, least]) => (samples.get(name) ?? 0) >= least),
    60_000,
  );

const layers = (result: string) => `snapmill_layers_total{pool="default",result="${result}"}`;
const operations = (name: string) =>
  `snapmill_operation_duration_seconds_count{pool="default",operation="${name}",code="ok"}`;
const [prepares, copies, commits] = ["prepare", "commit-copies", "commit"].map(operations) as [string, string, string];
const restarts = (component: string) => `snapmill_worker_restarts_total{pool="default",component="${component}"}`;
const incomplete = (part: string) => `snapmill_scrape_incomplete{pool="default",part="${part}"}`;

test(
  "what the workers of up observe is added up, and stays when they are killed",
  async () => {
    using place = new Place();
    const image = await writeSmallImage(join(place.directory, "image"));
    await using up = place.up();
    const url = urlIn(await up.ready());
    const before = await scrape(place, url);
    for (const result of ["unpacked", "cached", "failed"]) expect(before.get(layers(result))).toBe(0);
    expect(before.get('snapmill_build_info{pool="default",version="0.1.0",driver="reflink"}')).toBe(1);
    expect(before.get(prepares)).toBe(0);
    expect(before.get(incomplete("queues"))).toBe(0);

    expect(await place.run("unpack", image.reference)).toMatchObject({ exitCode: 0 });
    expect(await place.run("unpack", image.reference)).toMatchObject({ exitCode: 0 });
    expect((await place.run("unpack", `oci:${place.directory}/no-such-image`)).exitCode).not.toBe(0);
    const failed = 'snapmill_unpack_duration_seconds_count{pool="default",result="failed"}';
    const worked = await untilAtLeast(place, url, { [layers("unpacked")]: 3, [commits]: 1, [failed]: 1 });
    expect(worked.get(layers("unpacked"))).toBe(3);
    // The layers of a chain are written into one snapshot, and copies of it committed, of one layer or of several at once.
    expect([prepares, commits].map((name) => worked.get(name))).toEqual([1, 1]);
    expect(worked.get(copies)).toBeWithin(1, 3);
    expect(worked.get('snapmill_unpack_written_bytes_total{pool="default"}')).toBeGreaterThan(3 << 20);
    expect(worked.get('snapmill_unpack_stage_seconds_total{pool="default",stage="writing"}')).toBeGreaterThan(0);
    expect(worked.get('snapmill_redis_roundtrip_seconds_count{pool="default"}')).toBeGreaterThan(0);
    expect(worked.get('snapmill_sqlite_transaction_seconds_count{pool="default"}')).toBeGreaterThan(0);
    for (const component of ["pool", "unpack-1", "grpc", "redis"]) {
      expect(worked.get(`process_resident_memory_bytes{pool="default",component="${component}"}`)).toBeGreaterThan(2e6);
    }
    expect(worked.get('process_cpu_seconds_total{component="up"}')).toBeGreaterThan(0);

    for (const script of ["workers/pool.ts", "workers/unpack.ts"]) {
      for (const pid of place.pidsOf(script)) process.kill(pid, "SIGKILL");
    }
    const after = await untilAtLeast(place, url, { [restarts("pool")]: 1, [restarts("unpack-1")]: 1 });
    expect(after.get(layers("unpacked"))).toBe(3);
    expect(after.get(prepares)).toBe(1);
    await untilHealthy(url);
    expect((await place.run("prepare", "a")).exitCode).toBe(0);
    expect((await untilAtLeast(place, url, { [prepares]: 2 })).get(prepares)).toBe(2);

    expect((await place.run("doctor")).exitCode).toBe(0);
    await untilAtLeast(place, url, { 'snapmill_doctor_last_run_timestamp_seconds{pool="default"}': 1 });
    expect(await up.end("SIGTERM")).toBe(0);
    expect(place.residue()).toEqual([]);
  },
  timeoutMs,
);

test(
  "a scrape while Redis does not answer takes bounded time, has all the rest, and says what is missing",
  async () => {
    using place = new Place({ SNAPMILL_GRPC_ADDRESS: "" });
    await using up = place.up();
    const url = urlIn(await up.ready());
    expect((await scrape(place, url)).get('snapmill_queue_jobs{pool="default",queue="pool",state="failed"}')).toBe(0);
    const [redis = 0] = place.pidsOf("redis-server");
    process.kill(redis, "SIGSTOP");
    const during = await scrape(place, url);
    process.kill(redis, "SIGCONT");
    expect(during.get(incomplete("queues"))).toBe(1);
    expect(during.get(incomplete("pool"))).toBe(0);
    expect(during.get('snapmill_redis_up{pool="default"}')).toBe(0);
    expect([...during.keys()].filter((name) => name.startsWith("snapmill_queue_"))).toEqual([]);
    expect(during.get('snapmill_pool_size_bytes{pool="default",area="data"}')).toBeGreaterThan(0);
    expect(during.get('process_open_fds{pool="default",component="redis"}')).toBeGreaterThan(0);
    await until(
      "Redis is read again",
      () => scrape(place, url),
      (samples) => samples.get(incomplete("queues")) === 0,
    );
    expect(await up.end("SIGTERM")).toBe(0);
    expect(existsSync(paths.redisSocket(place.config))).toBe(false);
  },
  timeoutMs,
);
