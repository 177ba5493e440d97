// `snapmill pool reset`: what it says and asks for, on a running snapmill, a stopped one, and a pool that is lost.
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { paths } from "../../../src/config.ts";
import { CliFixture } from "../cli-fixture.ts";

setDefaultTimeout(120_000);

const fixture = new CliFixture();
const { snapmill } = fixture;
const poolDir = paths.poolDir(snapmill.config);
afterAll(() => fixture[Symbol.asyncDispose]());

test("a pool is emptied when that is asked for twice, and nothing of it is in use", async () => {
  await fixture.up();
  await fixture.stdout("prepare", "work");
  const asked = await fixture.failure(1, "pool", "reset");
  expect(asked).toContain(`permanently removes 1 snapshot, 0 images and 2 devices of pool default in ${poolDir}:`);
  expect(asked).toContain("--yes");
  const dir = join(snapmill.directory, "mnt");
  mkdirSync(dir);
  await fixture.stdout("mount", "work", dir);
  expect(await fixture.failure(1, "pool", "reset", "--yes")).toContain("is in use: mounted at");
  expect(await fixture.json("ls")).toHaveLength(1);
  expect(Bun.spawnSync(["umount", dir]).exitCode).toBe(0);
  expect(await fixture.stdout("pool", "reset", "default", "--yes")).toBe("pool default is empty: 2 devices removed\n");
  expect(await fixture.json("ls")).toEqual([]);
  await fixture.stdout("prepare", "left");
  await fixture.down();
});

test("with nothing running it is emptied as well", async () => {
  expect(await fixture.stdout("pool", "reset", "--yes")).toBe("pool default is empty: 2 devices removed\n");
  expect(await fixture.json("ls")).toEqual([]);
});

test("of a pool that is lost the database forgets what was in it, and a new one is made", async () => {
  await fixture.up();
  await fixture.stdout("prepare", "lost");
  await fixture.down();
  rmSync(join(poolDir, "pool.img"));
  const { exitCode, stdout } = await fixture.run("doctor", "--repair");
  expect(exitCode).toBe(1);
  expect(stdout).toContain("pool default is lost");
  expect(await fixture.stdout("pool", "reset", "--yes")).toBe("pool default is empty: 2 devices removed\n");
  expect(await fixture.json("ls")).toEqual([]);
  await fixture.up();
  const [mount] = await fixture.json("prepare", "anew");
  // Device names are never used twice.
  expect(mount?.source).toEndWith("default-snap-7");
  await fixture.stdout("rm", "anew");
  await fixture.down();
});
