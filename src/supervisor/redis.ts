// Room: supervisor. Owns the private redis-server: its files, its settings, and the check that it is usable.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Config, childEnvironment, paths, redisUrl } from "../config.ts";
import { invalidArgument } from "../domain/errors.ts";
import { answering, consumerConnection } from "../jobs/redis/connection.ts";
import type { ChildPlan } from "./child-plan.ts";

/** sizeof(sockaddr_un.sun_path) without the NUL: unix(7). */
const maxSocketPathBytes = 107;
/** A long append-only file takes a while to load. */
const loadWithinMs = 10 * 60_000;

/** Listens on a UNIX socket only, flushes every job to disk within a second, and never evicts anything. */
export function redisArguments(config: Config): string[] {
  const settings: Readonly<Record<string, string>> = {
    port: "0",
    unixsocket: paths.redisSocket(config),
    unixsocketperm: "700",
    dir: paths.redisDir(config),
    appendonly: "yes",
    appendfsync: "everysec",
    // A crash may truncate the last command: load everything before it.
    "aof-load-truncated": "yes",
    save: "",
    maxmemory: "0",
    "maxmemory-policy": "noeviction",
    loglevel: "warning",
    daemonize: "no",
  };
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
}

/** What redis-server says when it cannot read its files. */
const damage = /\bAOF\b|append[ -]?only|\bRDB\b/i;
/** What it may say in the same sentence if the files are not damaged. */
const noDamage = /No space left|Permission denied|Read-only file system|Too many open files|Cannot allocate/i;
/** Files that are damaged again within an hour are left in place: the disk is at fault. */
const asideAgainAfterMs = 3_600_000;

const asidePrefix = "damaged-";

/**
 * Moves a damaged append-only file aside, so that Redis starts empty: pending work is in SQLite and is queued again.
 * Keeps only the latest one, for inspection. Returns a sentence about it, or undefined if `lastWords` have another
 * cause.
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
    `the append-only file of the private Redis is damaged (${lastWords}): it was moved to ${kept}, Redis starts empty, ` +
    "and all accepted work is queued again from the database"
  );
}

export function redisPlan(config: Config): ChildPlan {
  let setAsideMs = Number.NEGATIVE_INFINITY;
  const socket = paths.redisSocket(config);
  if (Buffer.byteLength(socket) > maxSocketPathBytes) {
    throw invalidArgument(`${socket} is too long for a socket path: set SNAPMILL_RUN_DIR to a shorter path`);
  }
  return {
    name: "redis-server",
    component: "redis",
    argv: ["redis-server", ...redisArguments(config)],
    environment: childEnvironment({}),
    graceMs: 10_000,
    readyWithinMs: loadWithinMs,
    prepare: () => {
      mkdirSync(paths.redisDir(config), { recursive: true, mode: 0o700 });
      mkdirSync(config.runDir, { recursive: true, mode: 0o700 });
      // Left behind by a server that was killed: nothing listens on it.
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

/** Waits until Redis has loaded its append-only file and answers. */
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
