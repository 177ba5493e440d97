// `snapmill pool reset`: what it says and asks for, on a running snapmill, a stopped one, and a pool that is lost.
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { paths } from "../../../src/config.ts";
import { Stage } from "../cli-fixture.ts";

setDefaultTimeout(120_000);

const stage = new Stage();
const { station } = stage;
const poolDir = paths.poolDir(station.config);
afterAll(() => stage[Symbol.asyncDispose]());

test("a pool is emptied when that is asked for twice, and nothing of it is in use", async () => {
  await stage.up();
  await stage.stdout("prepare", "work");
  const asked = await stage.failure(1, "pool", "reset");
  expect(asked).toContain(`gives up 1 snapshot, 0 images and 2 devices of pool default in ${poolDir} for good`);
  expect(asked).toContain("--yes");
  const dir = join(station.directory, "mnt");
  mkdirSync(dir);
  await stage.stdout("mount", "work", dir);
  expect(await stage.failure(1, "pool", "reset", "--yes")).toContain("is in use; unmount it first");
  expect(await stage.json("ls")).toHaveLength(1);
  expect(Bun.spawnSync(["umount", dir]).exitCode).toBe(0);
  expect(await stage.stdout("pool", "reset", "default", "--yes")).toBe("pool default is empty: 2 devices given up\n");
  expect(await stage.json("ls")).toEqual([]);
  await stage.stdout("prepare", "left");
  await stage.down();
});

test("with nothing running it is emptied as well", async () => {
  expect(await stage.stdout("pool", "reset", "--yes")).toBe("pool default is empty: 2 devices given up\n");
  expect(await stage.json("ls")).toEqual([]);
});

test("of a pool that is lost the database forgets what was in it, and a new one is made", async () => {
  await stage.up();
  await stage.stdout("prepare", "lost");
  await stage.down();
  rmSync(join(poolDir, "pool.img"));
  const { exitCode, stdout } = await stage.run("doctor", "--repair");
  expect(exitCode).toBe(1);
  expect(stdout).toContain("pool default is lost");
  expect(await stage.stdout("pool", "reset", "--yes")).toBe("pool default is empty: 2 devices given up\n");
  expect(await stage.json("ls")).toEqual([]);
  await stage.up();
  const [mount] = await stage.json("prepare", "anew");
  // No name is used twice.
  expect(mount?.source).toEndWith("default-snap-7");
  await stage.stdout("rm", "anew");
  await stage.down();
});
