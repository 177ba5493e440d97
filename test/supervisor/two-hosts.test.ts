// Tests two hosts that use one pool name on one Redis: the first host owns it until it is moved.
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { paths } from "../../src/config.ts";
import { type Scope, scope } from "../../src/domain/identifiers.ts";
import { JobClient } from "../../src/jobs/requests/client.ts";
import { openDatabase } from "../../src/metadata/database.ts";
import { listDevices } from "../../src/metadata/devices.ts";
import { walkSnapshots } from "../../src/metadata/walk.ts";
import { failureOf } from "../jobs/support.ts";
import { startRedis } from "../support/redis.ts";
import { SlowMkfs } from "../support/slow-mkfs.ts";
import { Place } from "./running-up.ts";

const timeoutMs = 240_000;
const own: Scope = scope("snapmill");
const takenOver = "was taken over by host";
/** A worker that stood still for 3 s does not write down what it was about. */
const standstillMs = 3_500;

const keysIn = ({ config }: Place): string[] => {
  using database = openDatabase(paths.database(config), { mode: "readonly" });
  return [...walkSnapshots(database, { scope: own })].map(({ key }) => key);
};

const busyDevicesIn = ({ config }: Place): string[] => {
  using database = openDatabase(paths.database(config), { mode: "readonly" });
  return listDevices(database).flatMap(({ state, role }) => (state === "deactivated" ? [] : [`${role} ${state}`]));
};

/** Starts both at once: answers with the one that is ready, and with what the other one said. */
async function raceOf(one: Place, other: Place) {
  const ups = [one, other].map((place) => {
    const up = place.up();
    return { place, up, ready: up.ready() };
  });
  const outcomes = await Promise.allSettled(ups.map(({ ready }) => ready));
  expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  const winner = ups[outcomes.findIndex(({ status }) => status === "fulfilled")] as (typeof ups)[number];
  const loser = ups.find((start) => start !== winner) as (typeof ups)[number];
  expect(await loser.up.ended()).toBe(1);
  return { ...winner, loser: loser.place, refusal: await loser.up.stderr };
}

test(
  "two hosts with one pool's name on one Redis: one serves it, and a take-over leaves nothing done twice",
  async () => {
    await using redis = await startRedis();
    using mkfs = new SlowMkfs();
    const settings = { REDIS_URL: redis.url, SNAPMILL_GRPC_ADDRESS: "", PATH: mkfs.path };
    using one = new Place(settings);
    using other = new Place(settings);
    const { place: first, up, loser: second, refusal } = await raceOf(one, other);
    await using firstUp = up;
    expect(refusal).toContain("the pool name default is claimed in this Redis by host");
    expect(refusal).toContain(`(${first.config.stateDir}, database`);
    expect(refusal).toContain("use another --pool name, or move the name here with 'snapmill up --take-over'");

    // What is asked for another pool is an answer at once, with the pools that are served.
    const elsewhere = await first.run("unpack", "--pool", "other", "oci:/nowhere");
    expect(elsewhere.exitCode).toBe(1);
    expect(elsewhere.stderr).toContain("serves pool default, not other, and no other host serves that pool");
    expect(elsewhere.stderr).toContain("(served pools: default on host ");
    expect(JSON.parse((await first.run("status", "--json")).stdout)).toMatchObject({
      claim: { stateDir: first.config.stateDir, isOurs: true },
    });
    expect((await second.run("status")).stdout).toMatch(
      /^Claim +another database: 'snapmill up' is refused here without --take-over/m,
    );

    // Its worker stands still in the middle of a job, and the other host takes the name over.
    const connect = () => JobClient.connect({ redisUrl: redis.url, pool: first.config.pool });
    await using oldCaller = await connect();
    mkfs.hold();
    const inFlight = failureOf(oldCaller.call("prepare", { scope: own, key: "in flight", labels: {} }));
    await mkfs.untilStarted();
    const [frozen = 0] = first.pidsOf("workers/pool.ts");
    process.kill(frozen, "SIGSTOP");
    mkfs.release();
    await Bun.sleep(standstillMs);
    await using secondUp = second.upWith("--take-over");
    await secondUp.ready();
    const failure = await inFlight;
    expect(failure.code).toBe("failed_precondition");
    expect(failure.message).toContain("nothing was done here, but it may have been done there");
    await using newCaller = await connect();
    await newCaller.call("prepare", { scope: own, key: "of the second", labels: {} });

    // Its supervisor has it go on, to end in order, and says why. It executes and writes down nothing.
    await newCaller.call("prepare", { scope: own, key: "another of the second", labels: {} });
    expect(await firstUp.ended()).toBe(1);
    expect(await firstUp.stderr).toContain(`${takenOver}`);
    expect((await firstUp.stderr).split("\n").filter((line) => line.startsWith("snapmill: "))).toHaveLength(1);
    expect(keysIn(first)).toEqual([]);
    expect(keysIn(second)).toEqual(["another of the second", "of the second"]);

    // The name stays with a host that was killed. The other one is refused, and has put its own pool in order.
    expect(await secondUp.end("SIGKILL")).toBe("SIGKILL");
    await using again = first.up();
    expect(await again.ended()).toBe(1);
    expect(await again.stderr).toContain(`(${second.config.stateDir}, database`);
    expect(busyDevicesIn(first)).toEqual([]);
    expect(first.residue()).toEqual([]);

    // One that never served a pool is refused before it makes anything.
    using fresh = new Place(settings);
    await using refused = fresh.up();
    expect(await refused.ended()).toBe(1);
    expect(await refused.stderr).toContain(`(${second.config.stateDir}, database`);
    expect(readdirSync(fresh.config.stateDir)).toEqual([]);
    await using secondAgain = second.up();
    await secondAgain.ready();
    await newCaller.call("remove", { scope: own, key: "of the second" });
    expect(await secondAgain.end("SIGTERM")).toBe(0);
    expect(second.residue()).toEqual([]);
  },
  timeoutMs,
);
