// Room: test. Owns an `up` that serves several pools of a file: each on its own, and none kept down by another.
import { expect, test } from "bun:test";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readServed } from "../../src/config.ts";
import { writeSmallImage } from "../support/small-image.ts";
import { until } from "../support/until.ts";
import { healthOf, metricsOf, PlaceWithFile, untilHealthy, urlIn } from "./running-up.ts";

const timeoutMs = 240_000;

test(
  "two pools unpack at once, each behind its own socket, and one's worker dies alone",
  async () => {
    using place = new PlaceWithFile(() => ["[pools.fast]", 'min-free = "5%"', "[pools.bulk]", 'device-size = "32MiB"']);
    const [fast, bulk] = readServed({}, place.settings);
    await using up = place.up();
    const readyLine = await up.ready();
    const url = urlIn(readyLine);
    await untilHealthy(url);

    expect(fast?.grpcAddress).not.toBe(bulk?.grpcAddress);
    for (const config of [fast, bulk]) {
      expect(existsSync(config?.grpcAddress ?? "")).toBe(true);
      expect(readyLine).toContain(config?.grpcAddress ?? "none");
    }
    const { reference } = await writeSmallImage(join(place.directory, "image"));
    const unpacks = ["fast", "bulk"].map((pool) => place.run("--pool", pool, "unpack", reference));
    for (const { exitCode, stderr } of await Promise.all(unpacks))
      expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });

    const statusOf = async (...flags: string[]) => JSON.parse((await place.run(...flags, "status", "--json")).stdout);
    expect(await statusOf("--pool", "bulk")).toMatchObject({
      pool: "bulk",
      running: { kind: "up", pools: ["fast", "bulk"] },
      metadata: { snapshots: { committed: 3 } },
    });
    // The first pool of the file, where none is named.
    expect(await statusOf()).toMatchObject({ pool: "fast", metadata: { snapshots: { committed: 3 } } });
    const metrics = await metricsOf(url, place);
    for (const pool of ["fast", "bulk"]) {
      expect(metrics).toContain(`snapmill_snapshots{pool="${pool}",kind="committed"} 3\n`);
    }
    expect(metrics.match(/^# HELP snapmill_snapshots /gm)).toHaveLength(1);
    const other = await place.run("--pool", "other", "prepare", "x");
    expect(other.stderr).toContain("serves pools fast and bulk, not other");

    const [fastWorker = 0, bulkWorker = 0] = place.pidsOf("workers/pool.ts").sort((one, two) => one - two);
    process.kill(bulkWorker, "SIGKILL");
    await until(
      "another worker has the pool",
      async () => place.pidsOf("workers/pool.ts"),
      (pids) => pids.length === 2 && !pids.includes(bulkWorker),
      60_000,
    );
    expect(place.pidsOf("workers/pool.ts")).toContain(fastWorker);
    await untilHealthy(url);
    for (const pool of ["fast", "bulk"]) expect((await place.run("--pool", pool, "prepare", "x")).exitCode).toBe(0);

    expect(await up.end("SIGTERM")).toBe(0);
    expect(place.residue()).toEqual([]);
  },
  timeoutMs,
);

test(
  "a pool that cannot be served does not keep another down, says why, and is tried again",
  async () => {
    using place = new PlaceWithFile((directory) => [
      "[pools.good]",
      "[pools.stuck]",
      `grpc-address = "${directory}/socket"`,
    ]);
    const [, stuck] = readServed({}, place.settings);
    const obstacle = stuck?.grpcAddress ?? "";
    writeFileSync(obstacle, "");
    await using up = place.up();
    const url = urlIn(await up.ready());
    const why = `${obstacle} exists and is not a socket`;
    const { status, body } = await healthOf(url, place);
    expect(status).toBe(503);
    expect(body).toMatchObject({
      pools: [
        { pool: "good", ok: true, reasons: [] },
        { pool: "stuck", ok: false, reasons: expect.arrayContaining([expect.stringContaining(why)]) },
      ],
    });
    expect((await place.run("--pool", "good", "prepare", "x")).exitCode).toBe(0);
    const stuckStatus = await place.run("--pool", "stuck", "status");
    expect(stuckStatus.stdout).toContain("pools good and stuck");

    rmSync(obstacle);
    await untilHealthy(url);
    expect((await place.run("--pool", "stuck", "prepare", "x")).exitCode).toBe(0);
    await up.says("pool stuck is served again");
    expect(await up.end("SIGTERM")).toBe(0);
    expect(place.residue()).toEqual([]);
  },
  timeoutMs,
);

test(
  "an up all of whose pools fail ends with the reasons",
  async () => {
    using place = new PlaceWithFile((directory) => [
      "[pools.one]",
      `grpc-address = "${directory}/config.toml"`,
      "[pools.two]",
      `grpc-address = "${directory}/two"`,
    ]);
    const two = readServed({}, place.settings)[1]?.grpcAddress ?? "";
    writeFileSync(two, "");
    await using up = place.up();
    expect(await up.ended()).toBe(1);
    const said = await up.stderr;
    expect(said).toMatch(/no pool can be served: pool one: .*config.toml exists and is not a socket.*; pool two: /);
    expect(place.residue()).toEqual([]);
  },
  timeoutMs,
);
