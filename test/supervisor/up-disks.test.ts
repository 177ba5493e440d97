// Tests of up on disks that are full, read-only, frozen or damaged.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { paths } from "../../src/config.ts";
import { freshOperationId, ownScope } from "../../src/domain/identifiers.ts";
import { JobClient } from "../../src/jobs/requests/client.ts";
import { openDatabase } from "../../src/metadata/database.ts";
import { listImages } from "../../src/metadata/images.ts";
import { addToOutbox } from "../../src/metadata/outbox.ts";
import { runCommand } from "../../src/system/process/commands.ts";
import { writeSmallImage } from "../support/small-image.ts";
import { until } from "../support/until.ts";
import { healthOf, Place, untilHealthy, urlIn } from "./running-up.ts";

const timeoutMs = 120_000;

const connect = ({ config }: Place) =>
  JobClient.connect({ redisUrl: `unix://${paths.redisSocket(config)}`, pool: config.pool });

/** A small ext4 of a test's own, mounted. */
let disk = "";
let directory = "";
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "snapmill-disk-"));
  disk = join(directory, "mounted");
  mkdirSync(disk);
  const image = join(directory, "disk.img");
  await runCommand("truncate", ["-s", "512M", image]);
  // Every user may write to its last block.
  await runCommand("mkfs.ext4", ["-q", "-m", "0", image]);
  await runCommand("mount", ["-o", "loop", image, disk]);
});
afterAll(async () => {
  await runCommand("umount", [disk]);
  await rm(directory, { recursive: true });
});

/** Writes until there is not one byte left. */
async function fill(name: string): Promise<string> {
  const path = join(disk, name);
  for (const block of ["1M", "1K"]) {
    await runCommand("dd", ["if=/dev/zero", `of=${path}-${block}`, `bs=${block}`], { successCodes: [1] });
  }
  return path;
}

test(
  "on a disk that is full to the last block up starts, says so, and what fills it can be removed",
  async () => {
    using place = new Place({ SNAPMILL_STATE_DIR: join(disk, "state") });
    const first = place.up();
    await first.ready();
    await until("the reserve is there", () => existsSync(paths.reserve(place.config)));
    await using client = await connect(place);
    await client.call("prepare", { scope: ownScope, key: "large", labels: {} });
    expect(await first.end("SIGTERM")).toBe(0);

    await fill("filler");
    expect(() => writeFileSync(join(disk, "one-more"), "byte")).toThrow("ENOSPC");
    const second = place.up();
    const url = urlIn(await second.ready());
    const { status, body } = await healthOf(url, place);
    expect(status).toBe(503);
    expect(body).toMatchObject({ ok: false, parts: { redis: [], poolWorker: [], pool: [] } });
    expect((body as { reasons: string[] }).reasons.join()).toMatch(/but anything new needs .*: remove snapshots/);
    await using again = await connect(place);
    await again.call("remove", { scope: ownScope, key: "large" });
    await expect(again.call("prepare", { scope: ownScope, key: "new", labels: {} })).rejects.toThrow("make room");

    for (const block of ["1M", "1K"]) await rm(join(disk, `filler-${block}`));
    await untilHealthy(url, place);
    await until("the reserve is there", () => existsSync(paths.reserve(place.config)));
    expect(await second.end("SIGTERM")).toBe(0);
    expect(await second.stderr).toContain("is full: a reserve of 16.0 MiB was released");
    await rm(join(disk, "state"), { recursive: true });
    await rm(join(disk, "one-more"), { force: true });
  },
  timeoutMs,
);

test(
  "on a full disk without a reserve, and on one that is read-only, up says so and ends",
  async () => {
    using place = new Place({ SNAPMILL_STATE_DIR: join(disk, "state") });
    mkdirSync(place.config.stateDir, { mode: 0o700 });
    await fill("filler");
    const full = place.up();
    expect(await full.ended()).toBe(1);
    expect((await full.stderr).trim().split("\n").at(-1)).toMatch(/its disk has no room left.*make some there/);
    for (const block of ["1M", "1K"]) await rm(join(disk, `filler-${block}`));

    await runCommand("mount", ["-o", "remount,ro", disk]);
    const readOnly = place.up();
    expect(await readOnly.ended()).toBe(1);
    await runCommand("mount", ["-o", "remount,rw", disk]);
    expect((await readOnly.stderr).trim().split("\n").at(-1)).toMatch(/on a file system that is read-only: mount it/);
    expect(place.residue()).toEqual([]);
  },
  timeoutMs,
);

test(
  "a damaged append-only file of the private Redis is put aside, and accepted work is queued again from the database",
  async () => {
    using place = new Place();
    const up = place.up();
    await up.ready();
    expect(await up.end("SIGTERM")).toBe(0);
    const operationId = freshOperationId();
    const { reference } = await writeSmallImage(join(place.directory, "image"));
    const accepted = { operationId, reference, platform: "linux/amd64", pool: place.config.pool };
    using database = openDatabase(paths.database(place.config), { mode: "readwrite" });
    addToOutbox(database, { operationId, job: "unpack", payload: accepted });
    database.close();
    const redisDir = paths.redisDir(place.config);
    const [log = ""] = readdirSync(join(redisDir, "appendonlydir")).filter((name) => name.endsWith(".incr.aof"));
    const path = join(redisDir, "appendonlydir", log);
    writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.alloc(5_000)]));

    const second = place.up();
    await second.ready();
    using reader = openDatabase(paths.database(place.config), { mode: "readonly" });
    await until(
      "the image is unpacked",
      () => listImages(reader),
      ({ length }) => length === 1,
      60_000,
    );
    expect(await second.end("SIGTERM")).toBe(0);
    const aside = readdirSync(redisDir).filter((name) => name.startsWith("damaged-"));
    expect(aside).toHaveLength(1);
    const told = (await second.stderr).split("\n").filter((line) => line.includes("damaged"));
    expect(told).toHaveLength(1);
    expect(told[0]).toContain(`it was moved to ${join(redisDir, aside[0] ?? "")}, Redis starts empty`);
    expect(place.residue()).toEqual([]);
  },
  timeoutMs,
);

test(
  "a database that is damaged is the reason that up ends with",
  async () => {
    using place = new Place();
    mkdirSync(paths.poolDir(place.config), { recursive: true });
    writeFileSync(paths.database(place.config), "no database, but long enough to be taken for one".repeat(100));
    const up = place.up();
    expect(await up.ended()).toBe(1);
    expect((await up.stderr).trim().split("\n").at(-1)).toMatch(/metadata\.db is damaged .*: restore it/);
    expect(place.residue()).toEqual([]);
  },
  timeoutMs,
);
