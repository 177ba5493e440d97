// Tests one `up` that serves a thin-pool beside a pool of reflinked files, both of one file of settings.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { connect, type PoolClient } from "../../src/client/client.ts";
import { formWith, textOf, Visitor } from "../api/pages/page-visitor.ts";
import { writeSmallImage } from "../support/small-image.ts";
import { loadedDevices } from "../support/thin-pool.ts";
import { until } from "../support/until.ts";
import { healthOf, metricsOf, PlaceWithFile, type Up, untilHealthy, urlIn } from "./running-up.ts";

setDefaultTimeout(120_000);

const unique = `pair-${crypto.randomUUID().slice(0, 8)}`;
const pools = [`${unique}-devmapper`, `${unique}-reflink`] as const;

/** In the guest, each process takes seconds to start: one of each kind, and none for containerd. */
const few = ['device-size = "64MiB"', "unpack-workers = 1", 'grpc-address = ""'];
const place = new PlaceWithFile(
  () => [
    `[pools.${pools[0]}]`,
    'driver = "devmapper"',
    'size = "320MiB"',
    ...few,
    `[pools.${pools[1]}]`,
    'driver = "reflink"',
    'size = "1GiB"',
    ...few,
  ],
  { SNAPMILL_POOL_SIZE: undefined, SNAPMILL_DEVICE_SIZE: undefined, SNAPMILL_UNPACK_WORKERS: undefined },
);
let up: Up;
let url = "";
let thin: PoolClient;
let files: PoolClient;
let reference = "";
beforeAll(async () => {
  ({ reference } = await writeSmallImage(join(place.directory, "image")));
  up = place.up();
  url = urlIn(await up.ready());
  await untilHealthy(url, place);
  const host = connect({ host: url, token: place.token });
  [thin, files] = [host.pool(pools[0]), host.pool(pools[1])];
});
afterAll(async () => {
  expect(await up.end("SIGTERM")).toBe(0);
  expect([...place.residue(), ...(await loadedDevices(unique))]).toEqual([]);
  place[Symbol.dispose]();
});

const committed = async (pool: PoolClient) => (await pool.status({})).metadata?.snapshots.committed;

test("both unpack the same image, each with its driver, and show it in status, health and metrics", async () => {
  const [onThin, onFiles] = await Promise.all([thin.unpack({ reference }), files.unpack({ reference })]);
  expect([onThin.layers.length, onFiles.layers.length]).toEqual([3, 3]);
  expect(onThin.chainId).toBe(onFiles.chainId);
  const running = { kind: "up", pools };
  const metadata = { snapshots: { committed: 3 }, hold: null };
  expect(await thin.status({})).toMatchObject({
    pool: pools[0],
    running,
    metadata: { driver: "devmapper", ...metadata },
  });
  expect(await files.status({})).toMatchObject({
    pool: pools[1],
    running,
    metadata: { driver: "reflink", ...metadata },
  });
  expect(await untilHealthy(url, place)).toMatchObject({
    body: { ok: true, pools: pools.map((pool) => ({ pool, ok: true, reasons: [] })) },
  });
  const metrics = await metricsOf(url, place);
  for (const pool of pools) expect(metrics).toContain(`snapmill_snapshots{pool="${pool}",kind="committed"} 3\n`);
  const loaded = await loadedDevices(unique);
  expect(loaded).toContain(`${pools[0]}-pool`);
  expect(loaded.filter((name) => name.startsWith(pools[1]))).toEqual([]);
});

test("the one that is drained keeps what it is asked for; the other works meanwhile", async () => {
  const { hold, running } = await thin.drain({ reason: "a test" });
  expect({ kind: hold.kind, running }).toEqual({ kind: "drained", running: 0 });
  for (const pool of [thin, files]) {
    await pool.removeImages({ targets: [{ reference }] });
    expect(await committed(pool)).toBe(0);
  }
  const waiting = thin.unpack({ reference });
  const pending = async () => (await thin.status({})).metadata?.pendingUnpacks;
  await until("the unpack waits", pending, (count) => count === 1, 60_000);
  await files.unpack({ reference });
  expect([await committed(thin), await committed(files)]).toEqual([0, 3]);
  expect(await files.status({})).toMatchObject({ metadata: { pendingUnpacks: 0, hold: null } });
  expect(await pending()).toBe(1);
  const readiness = async () => JSON.stringify((await healthOf(url, place)).body);
  const isThinAlone = (said: string) => said.includes(`{"pool":"${pools[1]}","ok":true,"reasons":[]}`);
  const said = await until(
    "the other is ready",
    readiness,
    (found) => isThinAlone(found) && !/Redis/.test(found),
    60_000,
  );
  expect(JSON.parse(said)).toMatchObject({
    ok: false,
    pools: [{ pool: pools[0], ok: false, reasons: [expect.stringContaining("drained")] }, { ok: true }],
  });
  await thin.releaseQueue({});
  await waiting;
  expect(await committed(thin)).toBe(3);
  await untilHealthy(url, place);
});

test("the pages have a row for each, and the thin-pool's grows by its form", async () => {
  const visitor = new Visitor(() => url);
  expect(await visitor.signIn(place.token)).toBe(303);
  const overview = textOf((await visitor.visit("/")).html);
  expect(overview).toMatch(/-devmapper State ✓ in service Data ✓ \d+ % of 320 MiB Metadata ✓ \d+ % of /);
  expect(overview).toMatch(/-reflink State ✓ in service Data ✓ \d+ % of 960 MiB Metadata it has none of its own/);
  const path = `/pools/${pools[0]}`;
  const { html } = await visitor.visit(path);
  expect(textOf(html)).toMatch(/Thin-pool \S+ , mode rw\./);
  expect(html).toMatch(/<title>[^<]*\(linux\/[^<]*\): [^<]*iB<\/title>/);
  const size = { reason: "it fills", "with.dataBytes": String(2 ** 30) };
  const grown = await visitor.submit(formWith(html, "Grow"), size);
  expect(textOf(grown.html)).toMatch(/Grow: (done|begun, and still under way)/);
  await until(
    "the pool is larger",
    async () => textOf((await visitor.visit(path)).html),
    (text) => /Data ✓ \d+ % of 1\.0 GiB/.test(text),
    60_000,
  );
});
