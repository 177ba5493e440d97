import { expect, test } from "bun:test";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { paths } from "../../src/config.ts";
import { JobClient } from "../../src/jobs/requests/client.ts";
import { claim, findRunning } from "../../src/supervisor/running.ts";
import { withServices } from "../../src/supervisor/services.ts";
import { loopsBackedBelow, mountsBelow, processesOf } from "../support/residue.ts";
import { until } from "../support/until.ts";
import { Place } from "./running-up.ts";

const timeoutMs = 120_000;
const never = new AbortController().signal;

const connect = ({ config }: Place) =>
  JobClient.connect({ redisUrl: `unix://${paths.redisSocket(config)}`, pool: config.pool });

/** The children of this process that work for the place: they have it in their environment, this process has not. */
const residueOf = ({ directory }: Place): string[] => [
  ...processesOf(directory),
  ...loopsBackedBelow(directory),
  ...mountsBelow(directory),
];

test(
  "a command brings up what it needs and takes it down again",
  async () => {
    using place = new Place({ SNAPMILL_LOG_LEVEL: "warn" });
    const answer = await withServices(
      place.config,
      async () => {
        expect(await findRunning(place.config)).toMatchObject({ pid: process.pid, kind: "command" });
        await until("the reserve is there", () => existsSync(paths.reserve(place.config)));
        await using client = await connect(place);
        return await client.call("cleanup", {});
      },
      { signal: never },
    );
    expect(answer).toEqual({ removedDevices: 0, removedSnapshots: 0 });
    expect(residueOf(place)).toEqual([]);
    expect(await findRunning(place.config)).toBeUndefined();
  },
  timeoutMs,
);

test(
  "what was brought up is taken down also when the command fails, or is interrupted on its way",
  async () => {
    using place = new Place({ SNAPMILL_LOG_LEVEL: "warn" });
    const failing = withServices(place.config, () => Promise.reject(new Error("no such image")), { signal: never });
    await expect(failing).rejects.toThrow("no such image");
    expect(residueOf(place)).toEqual([]);

    const interrupted = new AbortController();
    const waiting = withServices(place.config, () => Promise.resolve("too late"), { signal: interrupted.signal });
    await until("they are coming up", () => place.processes().length);
    interrupted.abort(new Error("Ctrl-C"));
    await expect(waiting).rejects.toThrow("Ctrl-C");
    expect(residueOf(place)).toEqual([]);
  },
  timeoutMs,
);

test(
  "commands that bring services up take turns",
  async () => {
    using place = new Place({ SNAPMILL_LOG_LEVEL: "warn" });
    const events: string[] = [];
    const command = (name: string) =>
      withServices(
        place.config,
        async () => {
          events.push(`${name} begins`);
          // What the other command does over and over while it waits.
          const attempt = await claim(place.config, "command", () => undefined);
          expect(attempt).toMatchObject({ kind: "held", by: { kind: "command" } });
          events.push(`${name} ends`);
        },
        { signal: never },
      );
    await Promise.all([command("one"), command("two")]);
    const [first = ""] = events[0]?.split(" ") ?? [];
    const second = first === "one" ? "two" : "one";
    expect(events).toEqual([`${first} begins`, `${first} ends`, `${second} begins`, `${second} ends`]);
    expect(residueOf(place)).toEqual([]);
  },
  timeoutMs,
);

test(
  "a command uses the up that runs",
  async () => {
    using place = new Place();
    const up = place.up();
    await up.ready();
    const before = place.processes().length;
    const during = await withServices(
      place.config,
      async () => {
        await using client = await connect(place);
        await client.call("cleanup", {});
        return place.processes().length;
      },
      { signal: never },
    );
    expect(during).toBe(before);
    expect(await up.end("SIGTERM")).toBe(0);
    expect(place.residue()).toEqual([]);
  },
  timeoutMs,
);

test("a lock file that a killed command left behind does not lock", async () => {
  using place = new Place();
  const path = paths.upLock(place.config);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify({ pid: 1, kind: "up", pools: ["default"], startedAtMs: 0 })}\n`);
  expect(await findRunning(place.config)).toBeUndefined();

  const claims = await Promise.all([1, 2, 3].map(() => claim(place.config, "up", () => undefined)));
  expect(claims.map(({ kind }) => kind).sort()).toEqual(["held", "held", "ours"]);
  for (const claimed of claims) {
    if (claimed.kind === "held") expect(claimed.by).toMatchObject({ pid: process.pid, kind: "up" });
  }
  for (const claimed of claims) if (claimed.kind === "ours") claimed.lock[Symbol.dispose]();
  expect(await findRunning(place.config)).toBeUndefined();
});

test("the password of a Redis is not told", async () => {
  using place = new Place({ REDIS_URL: "redis://user:hidden-word@redis.example:6379" });
  const claimed = await claim(place.config, "up", () => undefined);
  expect((await findRunning(place.config))?.redisUrl).toBe("redis://redis.example:6379");
  if (claimed.kind === "ours") claimed.lock[Symbol.dispose]();
});
