// Room: test. Owns the health check of a pool whose place does not answer.
import { expect, test } from "bun:test";
import { readConfig } from "../../src/config.ts";
import { HealthCheck, type Watched } from "../../src/supervisor/health.ts";
import { temporaryDirectory } from "../support/directories.ts";

const ready = { kind: "ready", pid: 1 } as const;
const watched: Watched = {
  states: { redis: undefined, pool: ready, unpackers: [ready], grpc: undefined },
  troubles: [],
  beats: { pool: 0, unpack: [0], grpc: null },
};

test("a pool's file system that does not answer is reported, and holds up no answer", async () => {
  await using directory = await temporaryDirectory();
  const stateDir = directory.path;
  const config = readConfig({}, { SNAPMILL_STATE_DIR: stateDir, REDIS_URL: `unix://${stateDir}/no-redis.sock` });
  // A real one hangs a thread of the process for good: a call that is never answered stands for it.
  await using health = new HealthCheck(config, watched, () => new Promise(() => undefined));
  const { reasons, stateDirectory } = await health.current();
  expect(reasons).toContain("the file system of the pool does not answer: check its disk");
  expect(stateDirectory.freeBytes).toBeGreaterThan(0);
});
