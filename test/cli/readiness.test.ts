// Tests what `status` says of readiness on a real snapmill with two pools, on its host and from another.
import { expect, test } from "bun:test";
import { renameSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { childEnvironment, paths } from "../../src/config.ts";
import { PlaceWithFile, untilHealthy, urlIn } from "../supervisor/running-up.ts";
import { until } from "../support/until.ts";

const cli = join(import.meta.dir, "../../src/cli.ts");
const shape = z.object({
  readiness: z.object({ ok: z.boolean(), parts: z.record(z.string(), z.array(z.string())) }).nullable(),
});

test("status says what is ready and what is not, of its own pool, and why", async () => {
  using place = new PlaceWithFile(() => ["[pools.one]", "[pools.two]"]);
  const statusOf = async (pool: string) => {
    const { stdout } = await place.run("--pool", pool, "status", "--json");
    return shape.parse(JSON.parse(stdout)).readiness;
  };
  const untilOf = (pool: string, what: string, has: (found: Awaited<ReturnType<typeof statusOf>>) => boolean) =>
    until(what, () => statusOf(pool), has, 60_000);
  expect(await statusOf("one")).toBeNull();
  expect((await place.run("--pool", "one", "status")).stdout).not.toContain("Ready");
  await using up = place.up();
  const url = urlIn(await up.ready());
  await untilHealthy(url);
  const inOrder = "snapmill, Redis, queue, SQLite, pool, pool worker, unpack workers, gRPC server, disk";
  expect((await place.run("--pool", "one", "status")).stdout).toMatch(
    new RegExp(`^Ready +yes \\(in order: ${inOrder}\\)$`, "m"),
  );

  expect(await place.run("--pool", "two", "queues", "pause", "--reason", "new disk")).toMatchObject({ exitCode: 0 });
  const held = await untilOf("two", "pool two is held", (found) => found?.ok === false);
  expect(held?.parts).toMatchObject({ queue: [expect.stringContaining("(new disk)")], redis: [], poolWorker: [] });
  expect(await statusOf("one")).toMatchObject({ ok: true });
  const { REDIS_URL: _, ...inherited } = childEnvironment({});
  const remote = Bun.spawnSync([process.execPath, cli, "--pool", "two", "status"], {
    env: { ...inherited, SNAPMILL_HOST: url, SNAPMILL_TOKEN: place.token },
  });
  const said = remote.stdout.toString();
  expect(said).toMatch(/^Ready +no \(in order: snapmill, Redis, SQLite, pool, pool worker, .*\)$/m);
  expect(said).toMatch(/^ {2}queue +the pool is paused .*\(new disk\): 'snapmill --pool two resume' has/m);
  await place.run("--pool", "two", "queues", "resume");

  const [redis] = place.pidsOf("redis-server");
  process.kill(redis ?? 0, "SIGSTOP");
  const lost = await untilOf("one", "Redis does not answer", (found) => (found?.parts["redis"] ?? []).length > 0);
  expect(lost).toMatchObject({ ok: false, parts: { database: [], pool: [] } });
  process.kill(redis ?? 0, "SIGCONT");
  await untilOf("one", "all is well again", (found) => found?.ok === true);

  const socket = paths.httpSocket(place.config);
  renameSync(socket, `${socket}.away`);
  const starting = await statusOf("one");
  renameSync(`${socket}.away`, socket);
  expect(starting?.parts["up"]).toEqual([
    `process ${up.pid} is starting, or does not answer at ${socket} (nothing listens there): its log says why`,
  ]);

  process.kill(up.pid, "SIGSTOP");
  const silent = await statusOf("one");
  process.kill(up.pid, "SIGCONT");
  expect(silent?.ok).toBe(false);
  expect(silent?.parts["up"]?.[0]).toMatch(
    new RegExp(`^process ${up.pid} is starting, or does not answer at .*\\.sock \\(no answer within 6 s\\)`),
  );
  expect(silent?.parts["redis"]).toBeUndefined();
  const slip = await place.run("--pool", "tow", "ls");
  expect(slip.stderr).toBe(
    `snapmill: there is no pool tow in ${place.config.stateDir}: use --pool one or --pool two\n`,
  );
  expect(await up.end("SIGTERM")).toBe(0);
  expect(place.residue()).toEqual([]);
}, 240_000);
