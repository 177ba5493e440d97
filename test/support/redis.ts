// Room: test. Owns a private redis-server for one test file, on a UNIX socket.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { until } from "./until.ts";

export interface TestRedis extends AsyncDisposable {
  /** `unix://…/redis.sock`: what the project's `redisUrl` options take. */
  readonly url: string;
  /** Runs one command on a connection of its own: `await redis.command("DBSIZE")`. */
  command(name: string, ...args: string[]): Promise<unknown>;
  /** FLUSHALL: empties Redis. */
  flush(): Promise<void>;
  /** Starts it again after `stop` or `kill`, on the same socket and the same append-only file. */
  start(): Promise<void>;
  /** Ends it in order: its data is saved. */
  stop(): Promise<void>;
  /** Ends it with SIGKILL. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  /** Lets it hang (SIGSTOP) until `resume`: connections stay, answers do not come. */
  pause(): Promise<void>;
  resume(): Promise<void>;
}

const startTimeoutMs = 10_000;

/**
 * A redis-server that is ready to answer, set up like the one of `snapmill up` (append-only file, noeviction). `args`
 * are further flags of redis-server. It ends with this process, even if that is killed.
 */
export async function startRedis(args: readonly string[] = []): Promise<TestRedis> {
  const dir = await mkdtemp(join(tmpdir(), "snapmill-redis-"));
  const socket = join(dir, "redis.sock");
  let server: Bun.Subprocess | undefined;

  async function start(): Promise<void> {
    if (server !== undefined) throw new Error("this redis-server runs already");
    server = Bun.spawn(commandLine(dir, socket, args), { stdin: "ignore", stdout: Bun.file(join(dir, "redis.log")) });
    await ready(server, socket, join(dir, "redis.log"));
  }

  async function end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const ending = server;
    server = undefined;
    ending?.kill(signal);
    await ending?.exited;
  }

  async function command(name: string, ...commandArgs: string[]): Promise<unknown> {
    const connection = connect(socket);
    try {
      return await connection.call(name, ...commandArgs);
    } finally {
      connection.disconnect();
    }
  }

  await start();
  return {
    url: `unix://${socket}`,
    command,
    flush: async () => void (await command("FLUSHALL")),
    start,
    stop: () => end("SIGTERM"),
    kill: () => end("SIGKILL"),
    restart: () => end("SIGTERM").then(start),
    pause: async () => server?.kill("SIGSTOP"),
    resume: async () => server?.kill("SIGCONT"),
    [Symbol.asyncDispose]: async () => {
      await end("SIGKILL");
      await rm(dir, { recursive: true, force: true });
    },
  };
}

function commandLine(dir: string, socket: string, args: readonly string[]): string[] {
  const endsWithUs = ["setpriv", "--pdeathsig", "KILL", "--"];
  const place = ["--port", "0", "--unixsocket", socket, "--dir", dir];
  const durability = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""];
  return [...endsWithUs, "redis-server", ...place, ...durability, "--maxmemory-policy", "noeviction", ...args];
}

async function ready(server: Bun.Subprocess, socket: string, log: string): Promise<void> {
  const look = async () => ({
    answers: await answers(socket),
    exitCode: server.exitCode,
    log: await Bun.file(log).text(),
  });
  try {
    const { exitCode } = await until(
      "redis-server answers",
      look,
      (seen) => seen.answers || seen.exitCode !== null,
      startTimeoutMs,
    );
    if (exitCode !== null) throw new Error(`redis-server did not start: ${await Bun.file(log).text()}`);
  } catch (error) {
    server.kill("SIGKILL");
    throw error;
  }
}

/** Whether a Redis is there, and ready. */
export async function answers(socket: string): Promise<boolean> {
  const connection = connect(socket);
  try {
    return (await connection.ping()) === "PONG";
  } catch {
    return false;
  } finally {
    connection.disconnect();
  }
}

function connect(socket: string): Redis {
  const connection = new Redis({ path: socket, maxRetriesPerRequest: 0, retryStrategy: () => null });
  connection.on("error", () => undefined);
  return connection;
}
