// Room: test. Owns the reload of a running `up`: SIGHUP takes over what can change, names the rest, and loses nothing.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeSmallImage } from "../support/small-image.ts";
import { until } from "../support/until.ts";
import { type Place, PlaceWithFile, type Up, untilHealthy, urlIn } from "./running-up.ts";

const timeoutMs = 240_000;

const workersIn = (place: Place, name: string): number[] => place.pidsOf(`workers/${name}.ts`);

/** What the process was started with. */
function environmentOf(pid: number | undefined): Record<string, string | undefined> {
  const entries = readFileSync(`/proc/${String(pid)}/environ`, "utf8").split("\0");
  return Object.fromEntries(entries.map((entry) => [entry.replace(/=.*$/s, ""), entry.replace(/^[^=]*=/, "")]));
}

/** Sends SIGHUP, and waits until `up` has said `text`. */
async function reload(up: Up, text: string): Promise<void> {
  process.kill(up.pid, "SIGHUP");
  await up.says(text);
}

test(
  "a reload takes over what can change, replaces only who reads it, and names what needs a restart",
  async () => {
    using place = new PlaceWithFile(() => ['min-free = "10%"'], { SNAPMILL_UNPACK_WORKERS: undefined });
    await using up = place.up();
    const url = urlIn(await up.ready());
    const [grpc, unpack, pool] = ["grpc", "unpack", "pool"].map((name) => workersIn(place, name)[0]);

    place.write('min-free = "7%"', 'fs-type = "xfs"', "[http]", 'names = ["mill.example"]');
    const toOtherName = async () => (await fetch(`${url}/healthz`, { headers: { host: "mill.example" } })).status;
    expect(await toOtherName()).toBe(421);
    await reload(up, "configuration: read again");
    await up.says('min-free: \\"10%\\" -> \\"7%\\"');
    await up.says('fs-type: \\"ext4\\" -> \\"xfs\\": needs a restart');
    expect(await toOtherName()).toBe(200);
    expect(workersIn(place, "unpack")).toContain(unpack ?? 0);
    expect(workersIn(place, "grpc")).toEqual([grpc ?? 0]);
    const [newPool] = workersIn(place, "pool");
    expect(newPool).not.toBe(pool);
    expect(environmentOf(newPool)).toMatchObject({ SNAPMILL_MIN_FREE: "7%", SNAPMILL_FS_TYPE: "ext4" });

    place.write('min-free = "7%"', 'log-level = "warn"', "unpack-workers = 3");
    await reload(up, 'log-level: \\"info\\" -> \\"warn\\"');
    await until(
      "each worker has the level",
      async () => ["pool", "unpack", "grpc"].map((name) => workersIn(place, name).map(environmentOf)),
      (all) =>
        all.map(({ length }) => length).join() === "1,3,1" &&
        all.flat().every((each) => each["SNAPMILL_LOG_LEVEL"] === "warn"),
      120_000,
    );
    await untilHealthy(url);
    expect((await place.run("prepare", "x")).exitCode).toBe(0);
    expect(await up.end("SIGTERM")).toBe(0);
    expect(place.residue()).toEqual([]);
  },
  timeoutMs,
);

test(
  "a wrong file changes nothing and all of it is said",
  async () => {
    using place = new PlaceWithFile(() => ['min-free = "10%"']);
    await using up = place.up();
    const url = urlIn(await up.ready());
    const before = workersIn(place, "pool");

    place.write('min-free = "200%"', "sizes = 3", 'log-level = "debug"');
    await reload(up, "nothing was changed");
    await up.says(`${place.file}:1: min-free: give a percentage`);
    await up.says(`${place.file}:2: sizes: there is no such setting`);
    expect(workersIn(place, "pool")).toEqual(before);

    place.write('min-free = "10%"');
    await reload(up, "nothing has changed");
    expect(workersIn(place, "pool")).toEqual(before);
    await untilHealthy(url);
    expect(await up.end("SIGTERM")).toBe(0);
    expect(place.residue()).toEqual([]);
  },
  timeoutMs,
);

test(
  "SIGHUP twice, while an image unpacks, ends with the last file, and the image is there",
  async () => {
    using place = new PlaceWithFile(() => ["discard-blocks = false"]);
    await using up = place.up();
    const url = urlIn(await up.ready());
    const { reference } = await writeSmallImage(join(place.directory, "image"));
    const unpacking = place.run("unpack", reference);
    place.write("discard-blocks = true", 'inflate = "zlib"');
    process.kill(up.pid, "SIGHUP");
    await Bun.sleep(200);
    place.write("async-remove = true", 'inflate = "zlib"', 'log-level = "debug"');
    process.kill(up.pid, "SIGHUP");
    expect(await unpacking).toMatchObject({ exitCode: 0 });
    await until(
      "the workers have the last file",
      async () => workersIn(place, "grpc").map(environmentOf),
      ([grpc]) => grpc?.["SNAPMILL_LOG_LEVEL"] === "debug",
      120_000,
    );
    await untilHealthy(url);
    const settings = { SNAPMILL_DISCARD_BLOCKS: "false", SNAPMILL_ASYNC_REMOVE: "true", SNAPMILL_INFLATE: "zlib" };
    for (const name of ["pool", "unpack"]) expect(environmentOf(workersIn(place, name)[0])).toMatchObject(settings);
    expect((await place.run("ls")).stdout).toContain("committed");
    expect(await up.end("SIGTERM")).toBe(0);
    expect(place.residue()).toEqual([]);
  },
  timeoutMs,
);

test(
  "pools that come and go need a restart, and a stop during the reload of another ends in order",
  async () => {
    using place = new PlaceWithFile(() => ["[pools.one]", "[pools.two]"]);
    await using up = place.up();
    await up.ready();
    place.write("[pools.one]", 'min-free = "9%"', "[pools.three]");
    await reload(up, "pool two was removed: needs a restart");
    await up.says("pool three was added: needs a restart");
    await up.says('pool one: min-free: \\"10%\\" -> \\"9%\\"');
    expect(await up.end("SIGTERM")).toBe(0);
    expect(place.residue()).toEqual([]);
  },
  timeoutMs,
);
