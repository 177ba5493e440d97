import { expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { childEnvironment, paths } from "../../src/config.ts";
import { publicHealth } from "../../src/domain/health.ts";
import { ownScope } from "../../src/domain/identifiers.ts";
import { JobClient } from "../../src/jobs/requests/client.ts";
import { findRunning } from "../../src/supervisor/running.ts";
import { isLock, tryLock } from "../../src/system/file/locks.ts";
import { runCommand } from "../../src/system/process/commands.ts";
import { well } from "../support/health.ts";
import { startRedis } from "../support/redis.ts";
import { until } from "../support/until.ts";
import { healthOf, Place, untilHealthy, urlIn } from "./running-up.ts";

const cli = join(import.meta.dir, "../../src/cli.ts");
/** Starts, stops and repairs of the real thing, on two slow cores. */
const timeoutMs = 120_000;

test(
  "up is ready, works, says so over HTTP, and leaves nothing when it is stopped",
  async () => {
    using place = new Place();
    // As a service manager may: nothing of it may show in what is made.
    const up = place.up("000");
    const readyLine = await up.ready();

    const { status, body } = await healthOf(urlIn(readyLine), place);
    expect(status).toBe(200);
    expect(body).toMatchObject({ ok: true, reasons: [], unpackWorkers: { ready: 1, wanted: 1 } });
    expect((await healthOf(urlIn(readyLine))).body).toEqual(publicHealth(well));
    expect(statSync(place.config.grpcAddress ?? "").mode & 0o777).toBe(0o600);
    const token = readFileSync(paths.httpToken(place.config), "utf8").trim();
    expect(statSync(paths.httpToken(place.config)).mode & 0o777).toBe(0o600);
    expect(readyLine).toContain(`token in ${paths.httpToken(place.config)}`);
    expect(readyLine).not.toContain(token);
    const headers = { authorization: `Basic ${btoa(`snapmill:${token}`)}` };
    const queues = await fetch(`${urlIn(readyLine)}/queues/api/queues`, { headers });
    expect(await queues.text()).toContain('"name":"default.pool"');

    expect(await findRunning(place.config)).toMatchObject({ pid: up.pid, kind: "up", pools: ["default"] });
    await using client = await JobClient.connect({
      redisUrl: `unix://${paths.redisSocket(place.config)}`,
      pool: place.config.pool,
    });
    const { mounts } = await client.call("prepare", { scope: ownScope, key: "a", labels: {} });
    expect(mounts).toHaveLength(1);
    expect((await fetch(`${urlIn(readyLine)}/metrics`)).status).toBe(401);
    const metrics = await (await fetch(`${urlIn(readyLine)}/metrics`, { headers })).text();
    expect(metrics).toContain('snapmill_snapshots{pool="default",kind="active"} 1\n');
    expect(metrics).toMatch(/^snapmill_pool_size_bytes\{pool="default",area="data"\} [1-9]\d+$/m);
    expect(metrics).toContain('snapmill_queue_workers{pool="default",queue="pool"} 1\n');
    expect(openToOthers(place.directory)).toEqual([]);
    expect(reachableForAnother(place.directory)).toEqual([]);
    for (const lock of ["up.lock", "pools/default/owner.lock", "pools/default/metadata.db-shm"]) {
      expect(existsSync(join(place.config.stateDir, lock))).toBe(true);
      expect(asAnother(place.directory, "flock", "--shared", "--nonblock", `state/${lock}`, "true").exitCode).not.toBe(
        0,
      );
    }
    await client.call("remove", { scope: ownScope, key: "a" });

    expect(await up.end("SIGTERM")).toBe(0);
    expect(await up.stderr).toContain(`${place.config.stateDir} was open to other users of this host`);
    expect(place.residue()).toEqual([]);
    expect(existsSync(paths.redisSocket(place.config))).toBe(false);
    expect(existsSync(place.config.grpcAddress ?? "")).toBe(false);
    expect(await findRunning(place.config)).toBeUndefined();
  },
  timeoutMs,
);

/** As another user of the host, who got as far as `directory`. */
const asAnother = (directory: string, ...argv: readonly string[]) =>
  Bun.spawnSync(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--", ...argv], { cwd: directory });

/** What that user can read or write of a snapmill there. */
function reachableForAnother(directory: string): string[] {
  chmodSync(directory, 0o755);
  const found = asAnother(directory, "find", "state", "run", "(", "-readable", "-o", "-writable", ")");
  return found.stdout.toString().split("\n").filter(Boolean);
}

/**
 * What is made for others, too, though they do not get there; links, and the root of the pool's own file system, aside.
 */
function openToOthers(directory: string): string[] {
  const { stdout } = Bun.spawnSync(["find", "state", "run", "-mindepth", "1", "-perm", "/077", "!", "-type", "l"], {
    cwd: directory,
  });
  return stdout
    .toString()
    .split("\n")
    .filter((path) => path !== "" && !path.endsWith("pools/default/devices"));
}

test(
  "another user's directory, or one that others can write to, is refused by up and by commands",
  async () => {
    using place = new Place();
    chmodSync(place.config.stateDir, 0o777);
    const up = place.up();
    expect(await up.ended()).toBe(1);
    expect(await up.stderr).toContain(`${place.config.stateDir} can be written to by other users`);
    expect(readdirSync(place.config.stateDir)).toEqual([]);
    const { exitCode, stderr } = Bun.spawnSync([process.execPath, cli, "ls"], {
      env: { ...childEnvironment({}), ...place.settings },
    });
    expect(exitCode).toBe(1);
    expect(stderr.toString()).toMatch(/^snapmill: \S+ can be written to by other users[^\n]*\n$/);
  },
  timeoutMs,
);

test(
  "all dies with a killed up, and the next one works on what it left",
  async () => {
    using place = new Place();
    const first = place.up();
    await first.ready();
    expect(place.processes().length).toBeGreaterThanOrEqual(4);
    expect(await first.end("SIGKILL")).toBe("SIGKILL");
    await until(
      "all processes have ended",
      () => place.processes(),
      ({ length }) => length === 0,
    );
    expect(await findRunning(place.config)).toBeUndefined();

    const second = place.up();
    expect((await healthOf(urlIn(await second.ready()))).status).toBe(200);
    expect(await second.end("SIGINT")).toBe(0);
    expect(place.residue()).toEqual([]);
  },
  timeoutMs,
);

test(
  "each service that dies is started again",
  async () => {
    using place = new Place();
    const up = place.up();
    const url = urlIn(await up.ready());
    for (const program of ["workers/grpc.ts", "workers/unpack.ts", "workers/pool.ts", "redis-server"]) {
      const [pid = 0, ...others] = place.pidsOf(program);
      expect(others).toEqual([]);
      process.kill(pid, "SIGKILL");
      await until(
        `${program} is started again`,
        () => place.pidsOf(program),
        (pids) => pids.some((other) => other !== pid),
      );
      await untilHealthy(url, place);
    }
    for (const pid of place.pidsOf("workers/pool.ts")) process.kill(pid, "SIGKILL");
    expect(await up.end("SIGTERM")).toBe(0);
    expect(place.residue()).toEqual([]);
  },
  timeoutMs,
);

test(
  "a second up is refused and names the first, which goes on",
  async () => {
    using place = new Place();
    const first = place.up();
    const url = urlIn(await first.ready());
    const second = place.up();
    expect(await second.ended()).toBe(1);
    expect(await second.stderr).toContain(
      `already runs for ${place.config.stateDir}: process ${first.pid} (snapmill up`,
    );
    expect((await healthOf(url)).status).toBe(200);
    expect(await first.end("SIGTERM")).toBe(0);
    expect(place.residue()).toEqual([]);
  },
  timeoutMs,
);

test(
  "a state directory may have a long path",
  async () => {
    const nested = `${"a-long-name-of-a-directory/".repeat(8)}state with a space`;
    using place = new Place({ SNAPMILL_GRPC_ADDRESS: "" }, nested);
    expect(place.config.stateDir.length).toBeGreaterThan(200);
    const up = place.up();
    expect((await healthOf(urlIn(await up.ready()))).status).toBe(200);
    expect(await up.end("SIGTERM")).toBe(0);
    expect(place.residue()).toEqual([]);
  },
  timeoutMs,
);

test(
  "a state directory that is too long for containerd's socket is an error before anything is started",
  async () => {
    using place = new Place({}, "a-long-name-of-a-directory/".repeat(5));
    const up = place.up();
    expect(await up.ended()).toBe(1);
    expect(await up.stderr).toContain("give a shorter one with --grpc-address");
    expect(existsSync(paths.redisDir(place.config))).toBe(false);
  },
  timeoutMs,
);

test(
  "a run directory that is too long for a socket is an error that says so",
  async () => {
    using place = new Place({ SNAPMILL_RUN_DIR: `/tmp/${"long/".repeat(20)}` });
    const up = place.up();
    expect(await up.ended()).toBe(1);
    expect(await up.stderr).toContain("set SNAPMILL_RUN_DIR to a shorter path");
    expect(place.residue()).toEqual([]);
  },
  timeoutMs,
);

test(
  "a taken HTTP address is an error before anything is started",
  async () => {
    using taken = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("taken") });
    using place = new Place({ SNAPMILL_HTTP_ADDRESS: taken.url.host });
    const up = place.up();
    expect(await up.ended()).toBe(1);
    expect(await up.stderr).toContain(`HTTP address ${taken.url.host} is in use`);
    expect(existsSync(paths.redisDir(place.config))).toBe(false);
    expect(place.residue()).toEqual([]);
  },
  timeoutMs,
);

test(
  "up ends with the reason when a worker refuses to work",
  async () => {
    using place = new Place();
    mkdirSync(dirname(paths.poolLock(place.config)), { recursive: true });
    const lock = tryLock(paths.poolLock(place.config), "a test");
    if (!isLock(lock)) throw new Error("the lock is taken");
    const up = place.up();
    expect(await up.ended()).toBe(1);
    expect(await up.stderr).toContain("is held by another worker (a test)");
    lock[Symbol.dispose]();
    expect(place.residue()).toEqual([]);
  },
  timeoutMs,
);

test(
  "up says what Redis says when Redis cannot start",
  async () => {
    using place = new Place();
    const directory = paths.redisDir(place.config);
    mkdirSync(directory, { recursive: true });
    await runCommand("mount", ["-t", "tmpfs", "-o", "ro,mode=700", "none", directory]);
    const up = place.up();
    expect(await up.ended()).toBe(1);
    await runCommand("umount", [directory]);
    expect((await up.stderr).trim().split("\n").at(-1)).toMatch(
      /redis-server exited with status 1 5 times before it was ready: .*append-only dir.*Read-only file system/,
    );
    expect(place.residue()).toEqual([]);
  },
  timeoutMs,
);

test(
  "a Redis of the user's own is used, told of once when it refuses to write, and outlives up",
  async () => {
    await using redis = await startRedis();
    using place = new Place({ REDIS_URL: redis.url });
    const up = place.up();
    const url = urlIn(await up.ready());
    expect((await healthOf(url)).status).toBe(200);
    expect(existsSync(paths.redisDir(place.config))).toBe(false);

    const untilUnhealthy = (reason: RegExp) =>
      until(
        `up is unhealthy: ${reason.source}`,
        () => healthOf(url, place),
        ({ status, body }) => status === 503 && reason.test((body as { reasons: string[] }).reasons.join("; ")),
      );
    await redis.command("REPLICAOF", "127.0.0.1", "1");
    await untilUnhealthy(/is a read-only replica/);
    await redis.command("REPLICAOF", "NO", "ONE");
    await untilHealthy(url, place);

    const [worker = 0] = place.pidsOf("workers/pool.ts");
    process.kill(worker, "SIGSTOP");
    await untilUnhealthy(/the pool worker is stopped by a signal .*kill -CONT/);
    process.kill(worker, "SIGCONT");
    await untilHealthy(url, place);

    await redis.kill();
    await untilUnhealthy(/Redis at unix:.* is not there/);
    await redis.start();
    expect(await up.end("SIGTERM")).toBe(0);
    expect(await redis.command("PING")).toBe("PONG");
    expect(place.residue()).toEqual([]);
    // Two workers, each with what it asks of Redis; it was thousands of lines a second.
    expect((await up.stderr).split("\n").filter((line) => line.includes("READONLY")).length).toBeLessThan(12);
  },
  timeoutMs,
);

test(
  "a Redis that refuses to write, or wants another password, ends up with its reason, and without the password",
  async () => {
    await using redis = await startRedis(["--replicaof", "127.0.0.1", "1", "--port", "0"]);
    using place = new Place({ REDIS_URL: redis.url });
    using other = new Place({ REDIS_URL: "redis://:hidden-word@127.0.0.1:1" });
    const [up, second] = [place.up(), other.up()];
    expect([await up.ended(), await second.ended()]).toEqual([1, 1]);
    const lines = (await up.stderr).trim().split("\n");
    expect(lines.at(-1)).toMatch(
      /^snapmill: Redis at unix:\S+ is a read-only replica .*: set REDIS_URL to its primary$/,
    );
    expect(lines.length).toBeLessThan(8);
    const said = await second.stderr;
    expect(said.trim().split("\n").at(-1)).toContain("Redis at redis://127.0.0.1:1 is not there");
    expect(said).not.toContain("hidden-word");
    expect([...place.residue(), ...other.residue()]).toEqual([]);
  },
  timeoutMs,
);

test(
  "up is not ready while the pool's queue is paused, says so, and is once it is resumed",
  async () => {
    await using redis = await startRedis();
    using place = new Place({ REDIS_URL: redis.url });
    const meta = "{snapmill:default}:default.pool:meta";
    await redis.command("HSET", meta, "paused", "1");
    const up = place.up();
    await up.says("not ready: the pool's queue is paused: 'snapmill resume' ends that");
    await using client = await JobClient.connect({ redisUrl: redis.url, pool: place.config.pool });
    expect(await client.paused()).toEqual({ pool: true, unpack: false });
    expect((await place.run("resume")).exitCode).toBe(0);
    await up.ready();
    expect(await up.end("SIGTERM")).toBe(0);
  },
  timeoutMs,
);
