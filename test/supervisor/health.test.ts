// Room: test. Owns the health check's view of a pool, also of one whose place does not answer.
import { expect, test } from "bun:test";
import { readConfig } from "../../src/config.ts";
import type { Health, Phase } from "../../src/domain/health.ts";
import { HealthCheck, type PoolProbe } from "../../src/supervisor/health.ts";
import type { WatchedPool } from "../../src/supervisor/services.ts";
import { temporaryDirectory } from "../support/directories.ts";

const ready = { kind: "ready", pid: 1 } as const;
const watched: WatchedPool = {
  states: { redis: undefined, pool: ready, unpackers: [ready], grpc: undefined },
  troubles: { redis: [], pool: [], unpackers: [], grpc: [] },
  beats: { pool: 0, unpack: [0], grpc: null },
};

const sound: PoolProbe = {
  growsIn: async () => [],
  databaseTrouble: () => undefined,
  heldBack: () => undefined,
  poolTrouble: async () => undefined,
};

async function check(probe: Partial<PoolProbe>, phase: Phase = "running"): Promise<Health> {
  await using directory = await temporaryDirectory();
  const stateDir = directory.path;
  const config = readConfig({}, { SNAPMILL_STATE_DIR: stateDir, REDIS_URL: `unix://${stateDir}/no-redis.sock` });
  await using health = new HealthCheck(config, () => watched, { ...sound, ...probe });
  health.phase = phase;
  return await health.current();
}

test("a pool's file system that does not answer is reported, and holds up no answer", async () => {
  // A real one hangs a thread of the process for good: a call that is never answered stands for it.
  const { parts, stateDirectory } = await check({
    growsIn: () => new Promise(() => undefined),
    databaseTrouble: () => expect.unreachable("the database is read on a disk that does not answer"),
  });
  expect(parts.disk).toEqual(["the file system of the pool does not answer: check its disk"]);
  expect(stateDirectory.freeBytes).toBeGreaterThan(0);
});

test("each part has its own reasons, and all of them are the answer's", async () => {
  const { ok, reasons, parts } = await check({
    databaseTrouble: () => "the database is gone",
    poolTrouble: () => Promise.reject(new Error("dmsetup failed")),
  });
  expect(ok).toBe(false);
  expect(parts).toMatchObject({ up: [], database: ["the database is gone"], pool: ["dmsetup failed"], disk: [] });
  expect(parts.redis).toEqual([expect.stringContaining("is not there")]);
  expect(reasons).toEqual(Object.values(parts).flat());
});

test("it is not ready while it starts or stops", async () => {
  expect((await check({}, "starting")).parts.up).toEqual(["snapmill is starting"]);
  expect((await check({}, "stopping")).parts.up).toEqual(["snapmill is stopping"]);
});
