// Tests the claim on a pool's name with several databases on one Redis, and that a worker executes only its own jobs.
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { freshOperationId } from "../../../src/domain/identifiers.ts";
import {
  type ClaimHolder,
  claimKey,
  claimToken,
  lookUpClaim,
  servedPools,
  takeClaim,
  takeOverAny,
} from "../../../src/jobs/claims/pool-claims.ts";
import { RemovalPublisher } from "../../../src/jobs/outbox/removal-publisher.ts";
import { UnpackPublisher } from "../../../src/jobs/outbox/unpack-publisher.ts";
import { producerConnection } from "../../../src/jobs/redis/connection.ts";
import { RedisCheck } from "../../../src/jobs/redis/diagnosis.ts";
import { JobClient } from "../../../src/jobs/requests/client.ts";
import { startRedis, type TestRedis } from "../../support/redis.ts";
import { until } from "../../support/until.ts";
import {
  anId,
  connect,
  consume,
  consumeUnpacks,
  failureOf,
  holder,
  image,
  otherHolder,
  pool,
  removal,
  runsOf,
  startConsumerProcess,
  unpacked,
  withQueue,
} from "../support.ts";

/** On two slow cores. */
const timeoutMs = 60_000;

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterEach(() => redis.flush());
afterAll(() => redis[Symbol.asyncDispose]());

async function take(claimant: ClaimHolder, takeOver?: string) {
  const connection = producerConnection(redis.url);
  try {
    return await takeClaim(connection, { pool, holder: claimant, takeOver });
  } finally {
    connection.disconnect();
  }
}

const claim = () => lookUpClaim(redis.url, pool);
const token = async () => {
  const found = await claim();
  return found === undefined ? "" : claimToken(found);
};
/** As if the holder had not been seen for a minute. */
const age = async () => {
  const { seenAtMs = 0 } = (await claim()) ?? {};
  await redis.command("HSET", claimKey(pool), "seenAtMs", String(seenAtMs - 60_000));
};
const callerOf = ({ database }: ClaimHolder) => JobClient.connect({ redisUrl: redis.url, pool, database });

test("a name belongs to its first database, also while that is off; another one is told the owner, since when, and the way out", async () => {
  expect(await take(holder)).toBeUndefined();
  await age();
  const before = await claim();
  const failure = await failureOf(take(otherHolder));
  expect(failure.code).toBe("failed_precondition");
  const seen = new Date(before?.seenAtMs ?? 0).toISOString();
  expect(failure.message).toContain(
    `pool name ${pool} is claimed in this Redis by host host-a (/state/a, database 1111`,
  );
  expect(failure.message).toContain(`last seen ${seen}`);
  expect(failure.message).toEndWith("use another --pool name, or move the name here with 'snapmill up --take-over'");
  expect(await claim()).toEqual({ ...before, unseenMs: expect.any(Number) } as never);

  expect(await take({ ...holder, stateDir: "/moved", place: "another boot" })).toMatchObject({ stateDir: "/state/a" });
  expect(await claim()).toMatchObject({ database: 1111, stateDir: "/moved" });
});

test("a take-over moves the claim that its operator saw, and no other", async () => {
  await take(holder);
  await age();
  const seen = await token();
  expect(await take(otherHolder, seen)).toMatchObject({ database: holder.database, host: "host-a" });
  expect(await claim()).toMatchObject({ database: otherHolder.database, host: "host-b" });
  expect((await failureOf(take({ ...holder, database: 3333 }, seen))).message).toContain("host host-b");
  expect((await failureOf(take(holder, seen))).message).toContain("host host-b");
  expect(await take(otherHolder, seen)).toBeUndefined();
  await age();
  expect(await take(holder, takeOverAny)).toMatchObject({ database: otherHolder.database });
});

test("a claim that was damaged in Redis is shown as far as it can be read, and can be moved", async () => {
  await redis.command("HSET", claimKey(pool), "database", "7", "claimedAtMs", "9e99", "seenAtMs", "soon");
  await redis.command("HSET", claimKey(pool), "host", "evil\u001b[2J\n", "stateDir", "x".repeat(300_000));
  const failure = await failureOf(take(holder));
  expect(failure.message).toContain("database 7, claimed 1970-01-01T00:00:00.000Z");
  expect(failure.message).toContain("by host evil\\u001b[2J\\u000a (xxx");
  expect(failure.message).toContain("xxx... (300000 characters), database 7");
  expect(failure.message.length).toBeLessThan(5_000);
  expect(await take(holder, await token())).toMatchObject({ database: 7 });
  expect(await claim()).toMatchObject({ database: holder.database, host: "host-a" });
});

test("a value that is no claim is reported with the way out, also in the health report, and is replaced by a take-over", async () => {
  using check = new RedisCheck(redis.url, pool);
  for (const [type, command] of [
    ["string", "SET"],
    ["list", "LPUSH"],
  ] as const) {
    await redis.command(command, claimKey(pool), "damaged");
    const failure = await failureOf(take(holder));
    expect(failure.code).toBe("failed_precondition");
    expect(failure.message).toBe(
      `the claim on the pool name ${pool} is damaged: its key ${claimKey(pool)} in Redis is a ${type}, not a hash; ` +
        "if no other host serves the pool, replace it with 'snapmill up --take-over'",
    );
    expect(await check.state()).toEqual({ trouble: failure.message, isPaused: false });
    expect(await take(holder, await token())).toMatchObject({ wrongType: type });
    expect(await check.state()).toEqual({ trouble: undefined, isPaused: false });
    expect(await claim()).toMatchObject({ database: holder.database });
    await redis.flush();
  }
});

test(
  "a worker replaces a value that took the place of its claim, and goes on; a caller's job arrives meanwhile",
  async () => {
    await using _consumer = await consume(redis, { remove: async () => ({}) });
    await redis.command("SET", claimKey(pool), "damaged");
    await using client = await connect(redis);
    expect(await client.call("remove", removal)).toEqual({});
    await until("the claim is back", async () => (await claim())?.database === holder.database);
  },
  timeoutMs,
);

test("of many concurrent claims, and of many concurrent take-overs, one gets the name", async () => {
  const claimants = Array.from({ length: 20 }, (_, index) => ({ ...holder, database: index + 1, place: `${index}` }));
  const winnersOf = async (takeOver?: string) => {
    const outcomes = await Promise.allSettled(claimants.map((claimant) => take(claimant, takeOver)));
    return claimants.filter((_, index) => outcomes[index]?.status === "fulfilled").map(({ database }) => database);
  };
  const [first, ...others] = await winnersOf();
  expect(others).toEqual([]);
  expect((await claim())?.database).toBe(first as number);
  await redis.command("HSET", claimKey(pool), "database", "99");
  await age();
  const [second, ...rest] = await winnersOf(await token());
  expect(rest).toEqual([]);
  expect((await claim())?.database).toBe(second as number);
});

test(
  "a copy of a database is refused while the other one lives, and takes its place when it does not",
  async () => {
    const copy = { ...holder, host: "host-c", stateDir: "/state/copy", place: "boot:2:9" };
    {
      await using _consumer = await consume(redis, {});
      const failure = await failureOf(take(copy));
      expect(failure.code).toBe("failed_precondition");
      expect(failure.message).toContain("a copy of this database serves pool test.pool on host host-a (/state/a");
    }
    await age();
    expect(await take(copy)).toMatchObject({ host: "host-a" });
    expect(await claim()).toMatchObject({ host: "host-c" });
  },
  timeoutMs,
);

test("a job for another database is refused with a clear error, and not executed", async () => {
  const ran: string[] = [];
  const remove = async (_: unknown, { operationId }: { operationId: string }) => {
    ran.push(operationId);
    return {};
  };
  await using _consumer = await consume(redis, { remove });
  await using stranger = await callerOf(otherHolder);
  const failure = await failureOf(stranger.call("remove", removal));
  expect(failure.code).toBe("failed_precondition");
  expect(failure.message).toStartWith("this job was meant for database 2222 of pool test.pool");
  expect(failure.message).toContain("belongs to database 1111 on host host-a (/state/a): nothing was done;");
  expect(ran).toEqual([]);

  await using caller = await callerOf(holder);
  expect(await caller.call("remove", removal, { operationId: anId })).toEqual({});
  const reused = await failureOf(stranger.call("remove", removal, { operationId: anId }));
  expect(reused.code).toBe("invalid_argument");
  expect(reused.message).toContain("was used for a remove on another host's database (1111, this is 2222)");
  expect(ran).toEqual([anId]);
});

test("a caller elsewhere means the database whose claim it found, and a job of an older client any", async () => {
  await using early = await connect(redis);
  await using _consumer = await consume(redis, { remove: async () => ({}) });
  await using late = await connect(redis);
  await early.call("remove", removal, { operationId: anId });
  await late.call("remove", removal, { operationId: anId });
  await withQueue(redis, "pool", async (queue) => {
    expect((await queue.getJob(anId))?.data).toEqual({ ...removal, pool, operationId: anId, database: 1111 });
    const operationId = freshOperationId();
    await queue.add("remove", { ...removal, pool, operationId }, { jobId: operationId });
    await until(
      "it has been executed",
      () => queue.getJobState(operationId),
      (state) => state === "completed",
    );
  });
});

test(
  "a job in flight at a take-over is finished by its worker; all later ones are the new one's, or refused",
  async () => {
    const begun = Promise.withResolvers<void>();
    const going = Promise.withResolvers<object>();
    const oldRuns: string[] = [];
    await using old = await consume(redis, {
      remove: (_, { operationId }) => {
        oldRuns.push(operationId);
        begun.resolve();
        return going.promise;
      },
    });
    await using oldCaller = await callerOf(holder);
    const inFlight = oldCaller.call("remove", removal, { operationId: anId });
    await begun.promise;

    const newRuns: string[] = [];
    const takenOver = await consume(
      redis,
      {
        remove: async (_, { operationId }) => {
          newRuns.push(operationId);
          return {};
        },
      },
      { holder: otherHolder, takeOver: await token() },
    );
    await using _new = takenOver;
    expect(takenOver.displaced).toMatchObject({ database: holder.database });
    const lost = await old.lost;
    expect(lost.code).toBe("failed_precondition");
    expect(lost.message).toContain("was taken over by host host-b (/state/b, database 2222");

    const refused = await failureOf(oldCaller.call("remove", removal));
    expect(refused.message).toContain("nothing was done;");
    await using newCaller = await connect(redis);
    expect(await newCaller.call("remove", removal)).toEqual({});
    going.resolve({});
    expect(await inFlight).toEqual({});
    await old.close();
    expect(oldRuns).toEqual([anId]);
    expect(newRuns).toHaveLength(1);
  },
  timeoutMs,
);

test(
  "a worker that stood still through a take-over executes nothing any more, and ends",
  async () => {
    await using old = await startConsumerProcess(redis, "answers");
    process.kill(old.pid, "SIGSTOP");
    await take(otherHolder, await token());
    // One that names the database it means, and one of a client that knew none.
    await using caller = await connect(redis);
    const answer = caller.call("remove", removal);
    const unnamed = freshOperationId();
    await withQueue(redis, "pool", async (queue) => {
      await queue.add("remove", { ...removal, pool, operationId: unnamed }, { jobId: unnamed });
      process.kill(old.pid, "SIGCONT");
      expect(await old.exited).toBe(0);
      expect(await queue.getJobCountByTypes("waiting")).toBe(2);
    });
    expect(await runsOf(redis)).toEqual([]);
    await using _new = await consume(redis, { remove: async () => ({}) }, { holder: otherHolder });
    expect(await answer).toEqual({});
  },
  timeoutMs,
);

test(
  "a claim that Redis has lost is made again by the database that serves the pool, and the pool counts as served",
  async () => {
    await using _consumer = await consume(redis, {});
    await redis.flush();
    await until("it is claimed again", claim, (found) => found?.database === holder.database);
    expect((await failureOf(take(otherHolder))).message).toContain("host host-a");
    const hostile = "evil\u001b[2J" as typeof pool;
    await redis.command("SADD", "{snapmill}:pools", hostile, "x".repeat(100_000));
    await redis.command("HSET", claimKey(hostile), "database", "1", "seenAtMs", String(Date.now()));
    expect([...(await servedPools(redis.url))].map(([name, { host }]) => [name as string, host])).toEqual([
      [pool, "host-a"],
    ]);
  },
  timeoutMs,
);

test(
  "what is in one database's outbox is no failure of it when it came to another's",
  async () => {
    const entry = { operationId: anId, ...image };
    await using publisher = await UnpackPublisher.connect({ redisUrl: redis.url, pool, database: holder.database });
    await using removals = await RemovalPublisher.connect({
      redisUrl: redis.url,
      pool,
      database: holder.database,
      attempts: 3,
    });
    const device = "test.pool-snap-7" as never;
    await publisher.enqueueUnpacks([entry]);
    await removals.enqueue([{ operationId: anId, device }]);
    {
      await using _pool = await consume(redis, { "remove-device": async () => ({}) }, { holder: otherHolder });
      await using _unpacks = await consumeUnpacks(redis, async () => unpacked, { holder: otherHolder });
      await using caller = await callerOf(otherHolder);
      await until(
        "both were refused",
        () => caller.counts(),
        (counts) => counts.pool.failed === 1 && counts.unpack.failed === 1,
      );
      expect(await caller.failedRemovals()).toEqual([]);
    }
    await using caller = await callerOf(holder);
    expect(await caller.failedRemovals()).toHaveLength(1);
    await age();
    const back = { takeOver: takeOverAny };
    await using _pool = await consume(redis, { "remove-device": async () => ({}) }, back);
    await using _unpacks = await consumeUnpacks(redis, async () => unpacked);
    expect(await removals.startOver([])).toBe(1);
    expect(await publisher.enqueueUnpacks([entry])).toEqual([{ operationId: anId, state: "added" }]);
    await until(
      "both are done",
      () => caller.counts(),
      (counts) => counts.pool.completed === 1 && counts.unpack.completed === 1,
    );
  },
  timeoutMs,
);
