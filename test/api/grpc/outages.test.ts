import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { paths } from "../../../src/config.ts";
import { JobClient } from "../../../src/jobs/requests/client.ts";
import { Place, type Up } from "../../supervisor/running-up.ts";
import { SlowMkfs } from "../../support/slow-mkfs.ts";
import { until } from "../../support/until.ts";
import { codeOf, failureOf, SnapshotsClient } from "./client.ts";

/** On two slow cores, with processes that are killed and started again. */
const timeoutMs = 120_000;
/** For calls that must not hang: reaching this deadline is a failure. */
const patience = { deadlineMs: 20_000 };
const isServed = (code: string): boolean => code !== "UNAVAILABLE";

/** The first snapshot of each size waits for it. */
const mkfs = new SlowMkfs();
const place = new Place({ PATH: mkfs.path });
const { pool } = place.config;
let up: Up;
let client: SnapshotsClient;

let sizes = 64;
/** Labels of a snapshot that needs a new file system. */
const ofNewSize = () => {
  sizes += 1;
  return { "containerd.io/snapshot/max-size": `${sizes}MiB` };
};

const onlyPid = (program: string): number => {
  const [pid, ...others] = place.pidsOf(program);
  if (pid === undefined || others.length > 0) throw new Error(`there is not one ${program}`);
  return pid;
};
const signal = (program: string, name: NodeJS.Signals): void => void process.kill(onlyPid(program), name);

const names = async () => (await client.list()).map(({ name }) => name);
const tidy = async () => {
  for (const name of (await names()).reverse()) await client.call("remove", { key: name });
};

beforeAll(async () => {
  up = place.up();
  await up.ready();
  client = new SnapshotsClient(place.config.grpcAddress ?? "");
}, timeoutMs);

afterAll(async () => {
  client[Symbol.dispose]();
  await up.end("SIGTERM");
  place[Symbol.dispose]();
  mkfs[Symbol.dispose]();
}, timeoutMs);

test(
  "while Redis hangs, changes are unavailable and reads go on; afterwards all is as before",
  async () => {
    await client.call("prepare", { key: "before" });
    signal("redis-server", "SIGSTOP");
    const failure = await failureOf(client.call("prepare", { key: "meanwhile" }, patience));
    expect(failure.code).toBe("UNAVAILABLE");
    expect(failure.details).toContain("Redis");
    expect((await client.call("stat", { key: "before" })).info?.name).toBe("before");
    expect(await names()).toContain("before");
    signal("redis-server", "SIGCONT");
    await until("remove is served", () => codeOf(client.call("remove", { key: "before" })), isServed);
    expect(await names()).not.toContain("before");
    await until("prepare is served", () => codeOf(client.call("prepare", { key: "meanwhile" })), isServed);
    expect(await names()).toEqual(["meanwhile"]);
    await tidy();
  },
  timeoutMs,
);

test(
  "while the pool's worker is away, changes are unavailable and do not happen later; reads go on",
  async () => {
    await client.call("prepare", { key: "before" });
    // The stopped supervisor cannot start another one.
    process.kill(up.pid, "SIGSTOP");
    signal("workers/pool.ts", "SIGKILL");
    const failure = await failureOf(client.call("prepare", { key: "meanwhile" }, patience));
    expect(failure.code).toBe("UNAVAILABLE");
    expect(failure.details).toContain("the pool's worker is not there");
    expect((await client.call("mounts", { key: "before" })).mounts).toHaveLength(1);
    process.kill(up.pid, "SIGCONT");
    // A call that is given up in the moment in which the worker takes it may be done: the removal is not to be that call.
    await until("prepare is served", () => codeOf(client.call("prepare", { key: "after" })), isServed, 60_000);
    expect(await codeOf(client.call("remove", { key: "before" }))).toBe("OK");
    expect(await names()).toEqual(["after"]);
    await client.call("prepare", { key: "meanwhile" });
    await tidy();
  },
  timeoutMs,
);

test(
  "a worker that hangs is missed, too; a caller that gives up before that takes its call with it",
  async () => {
    const worker = onlyPid("workers/pool.ts");
    process.kill(worker, "SIGSTOP");
    const impatient = new AbortController();
    const given = failureOf(client.call("prepare", { key: "given up" }, { signal: impatient.signal }));
    await using jobs = await JobClient.connect({ redisUrl: `unix://${paths.redisSocket(place.config)}`, pool });
    await until(
      "the call is queued",
      () => jobs.counts(),
      (counts) => counts.pool.waiting > 0,
    );
    impatient.abort();
    expect((await given).code).toBe("CANCELLED");
    const late = await failureOf(client.call("prepare", { key: "late" }, { deadlineMs: 700 }));
    expect(late.code).toBe("DEADLINE_EXCEEDED");
    const failure = await failureOf(client.call("prepare", { key: "meanwhile" }, patience));
    expect(failure.code).toBe("UNAVAILABLE");
    expect(failure.details).toContain("does not answer");
    process.kill(worker, "SIGCONT");
    await until("prepare is served", () => codeOf(client.call("prepare", { key: "after" })), isServed);
    expect(await names()).toEqual(["after"]);
    // The keys of the cancelled calls are free, as if they had never been made.
    await client.call("prepare", { key: "given up" });
    await client.call("prepare", { key: "late" });
    await tidy();
  },
  timeoutMs,
);

test(
  "a prepare that is under way when its caller goes is whole in the end, and a retry hears of it",
  async () => {
    mkfs.hold();
    const late = failureOf(client.call("prepare", { key: "left", labels: ofNewSize() }, { deadlineMs: 1_500 }));
    await mkfs.untilStarted();
    expect((await late).code).toBe("DEADLINE_EXCEEDED");
    // The server may hear of the deadline after the client: a retry in between waits in the queue, and is taken back.
    const retried = await until(
      "a retry is refused",
      () => failureOf(client.call("prepare", { key: "left" }, { deadlineMs: 3_000 })),
      ({ code }) => code === "UNAVAILABLE",
      60_000,
    );
    expect(retried.details).toContain("is still under way");
    expect((await failureOf(client.call("remove", { key: "left" }, patience))).code).toBe("UNAVAILABLE");
    mkfs.release();
    const retry = () => codeOf(client.call("prepare", { key: "left" }));
    expect(await until("the retry is served", retry, isServed, 60_000)).toBe("ALREADY_EXISTS");
    const { mounts } = await client.call("mounts", { key: "left" });
    expect(existsSync(mounts[0]?.source ?? "")).toBe(true);
    await tidy();
  },
  timeoutMs,
);

test(
  "a worker that is killed under a call leaves one snapshot or none, and the key usable",
  async () => {
    mkfs.hold();
    const call = codeOf(client.call("prepare", { key: "interrupted", labels: ofNewSize() }, { deadlineMs: 60_000 }));
    await mkfs.untilStarted();
    signal("workers/pool.ts", "SIGKILL");
    mkfs.release();
    expect(["OK", "UNAVAILABLE"]).toContain(await call);
    await until(
      "the key is usable",
      () => codeOf(client.call("prepare", { key: "interrupted" }, patience)),
      (code) => code === "OK" || code === "ALREADY_EXISTS",
      60_000,
    );
    expect(await names()).toEqual(["interrupted"]);
    expect((await client.call("mounts", { key: "interrupted" })).mounts).toHaveLength(1);
    await tidy();
  },
  timeoutMs,
);

test(
  "the server is started again when it dies, and its clients find it again",
  async () => {
    await client.call("prepare", { key: "kept" });
    signal("workers/grpc.ts", "SIGKILL");
    await until(
      "stat succeeds",
      () => codeOf(client.call("stat", { key: "kept" })),
      (code) => code === "OK",
      60_000,
    );
    await tidy();
  },
  timeoutMs,
);

test(
  "a second snapmill is refused the address of the first, which goes on",
  async () => {
    using other = new Place({ SNAPMILL_GRPC_ADDRESS: place.config.grpcAddress ?? "" });
    const second = other.up();
    expect(await second.ended()).toBe(1);
    expect(await second.stderr).toContain(`listens at ${place.config.grpcAddress ?? ""}: use another path`);
    expect(await names()).toEqual([]);
    expect(other.residue()).toEqual([]);
  },
  timeoutMs,
);

test(
  "stopped under a call, snapmill answers it and leaves nothing",
  async () => {
    mkfs.hold();
    const call = codeOf(client.call("prepare", { key: "cut off", labels: ofNewSize() }, { deadlineMs: 60_000 }));
    await mkfs.untilStarted();
    const ended = up.end("SIGTERM");
    await up.says("the calls that are under way are answered first");
    mkfs.release();
    expect(await ended).toBe(0);
    expect(["OK", "UNAVAILABLE"]).toContain(await call);
    expect(existsSync(place.config.grpcAddress ?? "")).toBe(false);
    expect(place.residue()).toEqual([]);
  },
  timeoutMs,
);
