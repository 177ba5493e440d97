// Room: supervisor. Owns the private redis-server: where it lies, how it is set up, and when it is usable.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Config, childEnvironment, paths, redisUrl } from "../config.ts";
import { invalidArgument } from "../domain/errors.ts";
import { answering, consumerConnection } from "../jobs/redis/connection.ts";
import type { ChildPlan } from "./child-plan.ts";

/** sizeof(sockaddr_un.sun_path) without the NUL: unix(7). */
const maxSocketPathBytes = 107;
/** A long append-only file takes its time to load. */
const loadWithinMs = 10 * 60_000;

/** One connection by UNIX socket alone; every job is written down within a second; nothing is ever evicted. */
export function redisArguments(config: Config): string[] {
  const settings: Readonly<Record<string, string>> = {
    port: "0",
    unixsocket: paths.redisSocket(config),
    unixsocketperm: "700",
    dir: paths.redisDir(config),
    appendonly: "yes",
    appendfsync: "everysec",
    // A crash may cut the last command in half: load what is whole.
    "aof-load-truncated": "yes",
    save: "",
    maxmemory: "0",
    "maxmemory-policy": "noeviction",
    loglevel: "warning",
    daemonize: "no",
  };
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
}

/** What redis-server says of files of its own that it cannot read. */
const damage = /\bAOF\b|append[ -]?only|\bRDB\b/i;
/** What it says in the same sentence, and is no damage. */
const noDamage = /No space left|Permission denied|Read-only file system|Too many open files|Cannot allocate/i;
/** Files that are damaged again within an hour are not put aside again: the disk is at fault. */
const asideAgainAfterMs = 3_600_000;

const asidePrefix = "damaged-";

/**
 * Puts a damaged append-only file aside, so that Redis starts empty: what must still happen stands in SQLite and is
 * queued again. The latest is kept, for people to look at. Answers with a sentence, or undefined when `lastWords` tell
 * of something else.
 */
function setDamagedAside(redisDir: string, lastWords: string): string | undefined {
  const files = join(redisDir, "appendonlydir");
  if (!damage.test(lastWords) || noDamage.test(lastWords) || !existsSync(files)) return undefined;
  for (const name of readdirSync(redisDir)) {
    if (name.startsWith(asidePrefix)) rmSync(join(redisDir, name), { recursive: true, force: true });
  }
  const kept = join(redisDir, `${asidePrefix}${new Date().toISOString().replaceAll(":", "")}`);
  renameSync(files, kept);
  return (
    `the append-only file of the private Redis is damaged (${lastWords}): it is kept in ${kept}, Redis starts empty, ` +
    "and all accepted work is queued again from the database"
  );
}

export function redisPlan(config: Config): ChildPlan {
  let setAsideMs = Number.NEGATIVE_INFINITY;
  const socket = paths.redisSocket(config);
  if (Buffer.byteLength(socket) > maxSocketPathBytes) {
    throw invalidArgument(`${socket} is too long for a socket's path: set SNAPMILL_RUN_DIR to a shorter directory`);
  }
  return {
    name: "redis-server",
    argv: ["redis-server", ...redisArguments(config)],
    environment: childEnvironment({}),
    graceMs: 10_000,
    readyWithinMs: loadWithinMs,
    prepare: () => {
      mkdirSync(paths.redisDir(config), { recursive: true, mode: 0o700 });
      mkdirSync(config.runDir, { recursive: true, mode: 0o700 });
      // Left by a server that was killed: nothing listens at it.
      rmSync(socket, { force: true });
    },
    clearTheWay: (lastWords) => {
      if (performance.now() - setAsideMs < asideAgainAfterMs) return undefined;
      const sentence = setDamagedAside(paths.redisDir(config), lastWords);
      if (sentence !== undefined) setAsideMs = performance.now();
      return sentence;
    },
    readiness: { kind: "probed", probe: (signal) => untilAnswering(redisUrl(config), signal) },
  };
}

/** Waits until Redis answers: not while it is still loading its append-only file. */
async function untilAnswering(url: string, signal: AbortSignal): Promise<void> {
  const connection = consumerConnection(url);
  const giveUp = () => connection.disconnect();
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    await answering(connection, url, loadWithinMs);
  } finally {
    signal.removeEventListener("abort", giveUp);
    connection.disconnect();
  }
}
