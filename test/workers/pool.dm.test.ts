// Tests workers as processes on one thin-pool: one owns it, the others name the owner and exit.
import { expect, test } from "bun:test";
import { cpSync, mkdirSync } from "node:fs";
import { paths } from "../../src/config.ts";
import { ownScope, snapshotKey } from "../../src/domain/identifiers.ts";
import { definitionPath } from "../../src/drivers/devicemapper/pool/definition.ts";
import { JobClient } from "../../src/jobs/requests/client.ts";
import { mounted } from "../conformance/snapshotter-fixture.ts";
import { startRedis } from "../support/redis.ts";
import { TestSnapmill } from "../support/test-snapmill.ts";
import { startWorker } from "./start-worker.ts";

/** Starts a worker that must refuse to run; returns its error once it has exited. */
async function refusal(snapmill: TestSnapmill): Promise<string> {
  const { child, announced } = startWorker(snapmill);
  const said = await announced;
  expect(said).toMatchObject({ kind: "refused", error: { code: "failed_precondition" } });
  expect(await child.exited).toBe(1);
  return said.kind === "refused" ? said.error.message : "";
}

test("a second worker on a thin-pool names the owner, also from another state directory; the first goes on", async () => {
  await using redis = await startRedis();
  const settings = {
    REDIS_URL: redis.url,
    SNAPMILL_DRIVER: "devmapper",
    SNAPMILL_POOL: "workers",
    SNAPMILL_POOL_SIZE: "320MiB",
    SNAPMILL_DEVICE_SIZE: "64MiB",
  };
  using snapmill = new TestSnapmill(settings);
  // The pool's name is free, but the pool itself belongs to another database.
  await using elsewhere = await startRedis();
  using other = new TestSnapmill({ ...settings, REDIS_URL: elsewhere.url });
  const first = startWorker(snapmill);
  expect((await first.announced).kind).toBe("ready");
  await using client = await JobClient.connect({ redisUrl: redis.url, pool: snapmill.config.pool });
  const request = { scope: ownScope, key: snapshotKey("in-service"), labels: {} };
  const { mounts } = await client.call("prepare", request);
  expect(await refusal(snapmill)).toContain(`"pid":${first.child.pid}`);

  // The same pool, by its definition, for a database that never had it.
  mkdirSync(paths.poolDir(other.config), { recursive: true });
  cpSync(definitionPath(paths.poolDir(snapmill.config)), definitionPath(paths.poolDir(other.config)));
  expect(await refusal(other)).toContain("another owner's");
  await mounted(mounts, () => undefined);
  await client.call("remove", request);
  first.child.kill("SIGTERM");
  expect(await first.child.exited).toBe(0);
  expect([...snapmill.residue(), ...other.residue()]).toEqual([]);
}, 170_000);
