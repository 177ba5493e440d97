// Room: domain. Owns what can be wrong with the processes of an `up`, its Redis and its disk: a part of the verdict's table.
import { isHeldReason } from "./queues.ts";
import { formatSize } from "./units.ts";
import type { ChildKind, Watch } from "./verdict-facts.ts";
import { commandOn, counted, type Row } from "./verdict-trouble.ts";

const childrenOf = (watch: Watch, kind: ChildKind) => watch.children.filter((child) => child.kind === kind);
const down = (watch: Watch, kind: ChildKind) => childrenOf(watch, kind).filter(({ state }) => state !== "ready");

/** While it starts or stops, everything else is as it has to be. */
const isUp = (watch: Watch | undefined): watch is Watch => watch?.isStarted === true;

const silent: Row = ({ upSilence }) =>
  upSilence === undefined
    ? undefined
    : {
        severity: "warning",
        sentence: upSilence,
        next: "requests are refused, or wait, until it answers",
        wayOut: "wait while it starts; otherwise look into its log, and restart it",
      };

const notRunning: Row = ({ watch, upSilence }) =>
  watch !== undefined || upSilence !== undefined
    ? undefined
    : {
        severity: "notice",
        sentence: "no 'snapmill up' serves the pool",
        next: "each command starts what it needs, and stops it again; nobody watches the pool meanwhile",
        wayOut: "start 'snapmill up' where a service is wanted",
      };

const notReady: Row = ({ watch }) => {
  const [reason] = watch?.parts.up ?? [];
  if (reason === undefined) return undefined;
  return {
    severity: "warning",
    sentence: reason,
    next: "requests are refused, or wait, until it is up",
    wayOut: "wait; its log says what it waits for",
  };
};

const redisAway: Row = ({ watch }) => {
  const [reason] = watch?.parts.redis ?? [];
  if (!isUp(watch) || reason === undefined) return undefined;
  return {
    severity: "critical",
    sentence: `the queue is away: ${reason}`,
    next: "changes are refused; what was accepted is written down, and goes on by itself when Redis is back",
    wayOut: "start Redis again, or make it answer and take writes",
  };
};

/** Not by a command: the row "queue-held" tells of that, and knows at once when it has ended. */
const queuePaused: Row = ({ watch, pool }) => {
  const reason = watch?.parts.queue.find((sentence) => !isHeldReason(sentence));
  if (!isUp(watch) || reason === undefined) return undefined;
  return {
    severity: "critical",
    sentence: reason,
    next: "every change waits in the queue",
    wayOut: `another program on this Redis has paused it: '${commandOn(pool, "resume")}' ends that`,
  };
};

const databaseUnreadable: Row = ({ watch }) => {
  const [reason] = watch?.parts.database ?? [];
  if (!isUp(watch) || reason === undefined) return undefined;
  return {
    severity: "critical",
    sentence: reason,
    next: "nothing is known of any snapshot, and nothing can be changed",
    wayOut: "do what the sentence says; a backup of the database must be as old as that of its pool",
  };
};

/** What the pool's worker says of itself when it cannot write. */
const cannotWrite = /cannot write to its database/;

const databaseFull: Row = ({ watch }) => {
  const reason = watch?.troubles.pool.find((sentence) => cannotWrite.test(sentence));
  if (!isUp(watch) || reason === undefined) return undefined;
  return {
    severity: "critical",
    sentence: reason,
    next: "every change fails until it can be written",
    wayOut: "make room on its disk, or mend what is named",
  };
};

const diskFull: Row = ({ watch }) => {
  const [reason] = watch?.parts.disk ?? [];
  if (!isUp(watch) || reason === undefined) return undefined;
  return {
    severity: "critical",
    sentence: reason,
    next: "nothing new is made; with less space still, neither the database nor the queue can be kept",
    wayOut: "free space on that file system",
  };
};

const recordsUnwritable: Row = ({ watch }) => {
  if (!isUp(watch) || watch.recordsTrouble === null) return undefined;
  return {
    severity: "critical",
    sentence: `changes over HTTP cannot be recorded: ${watch.recordsTrouble}`,
    next: "every change over HTTP is refused, and the history has a gap; commands on this host and containerd go on",
    wayOut: "do what the sentence says, or make room on its disk",
  };
};

/** With more, the reserve is made again within seconds. */
const scarceBytes = 256 * 2 ** 20;

const reserveGone: Row = ({ watch }) => {
  if (!isUp(watch) || watch.disk.hasReserve || watch.disk.freeBytes >= scarceBytes) return undefined;
  if (watch.parts.disk.length > 0) return undefined;
  return {
    severity: "warning",
    sentence: `the disk reserve is not there: ${formatSize(watch.disk.freeBytes)} is free in the state directory`,
    next: "when the disk is full, nothing is left with which snapshots can be removed",
    wayOut: "free space: the reserve is made again once there is enough of it",
  };
};

const workerDown: Row = ({ watch, pool }) => {
  if (!isUp(watch) || down(watch, "pool").length === 0) return undefined;
  return {
    severity: "critical",
    sentence: `the worker of pool ${pool} does not run`,
    next: "it is started again by itself; changes wait, and those of containerd are refused",
    wayOut: "wait a moment; if it comes again, its log says why it ends",
  };
};

const workerHangs: Row = ({ watch }) => {
  const reason = watch?.troubles.pool.find((sentence) => !cannotWrite.test(sentence));
  if (!isUp(watch) || reason === undefined) return undefined;
  return {
    severity: "critical",
    sentence: reason,
    next: "changes are refused after some seconds; a worker that hangs is replaced after half a minute",
    wayOut: "wait, or do what the sentence says",
  };
};

const unpackersDown: Row = ({ watch }) => {
  if (!isUp(watch)) return undefined;
  const all = childrenOf(watch, "unpack").length;
  const missing = down(watch, "unpack").length;
  if (missing === 0) return undefined;
  return {
    severity: missing === all ? "critical" : "warning",
    sentence: missing === all ? "no unpack worker runs" : `${missing} of ${counted(all, "unpack worker")} do not run`,
    next: missing === all ? "unpacks wait; workers are started again by themselves" : "unpacks take longer",
    wayOut: "wait a moment; if it comes again, their log says why they end",
  };
};

const unpackersHang: Row = ({ watch }) => {
  const [reason, ...others] = watch?.troubles.unpack ?? [];
  if (!isUp(watch) || reason === undefined) return undefined;
  return {
    severity: "warning",
    sentence: others.length === 0 ? reason : `${reason}, and so ${counted(others.length, "other")}`,
    next: "its unpack stands still; a worker that hangs is replaced, and its unpack begins anew",
    wayOut: "wait, or do what the sentence says",
  };
};

const grpcDown: Row = ({ watch }) => {
  if (!isUp(watch)) return undefined;
  const [trouble] = watch.troubles.grpc;
  if (down(watch, "grpc").length === 0 && trouble === undefined) return undefined;
  return {
    severity: "critical",
    sentence: trouble ?? "the gRPC server does not run: containerd cannot reach its snapshots",
    next: "containerd's calls fail until it is back; it is started again by itself",
    wayOut: "wait a moment; if it comes again, its log says why it ends",
  };
};

const restarting: Row = ({ watch, nowMs }) => {
  const [first, ...others] = watch?.restarts ?? [];
  if (!isUp(watch) || first === undefined) return undefined;
  const times = others.length + 1;
  const names = [...new Set(watch.restarts.map(({ component }) => component))].join(", ");
  const minutes = Math.max(1, Math.round((nowMs - first.atMs) / 60_000));
  return {
    severity: times >= 3 ? "warning" : "notice",
    sentence: `workers have died or hung and were started again: ${names}, ${counted(times, "time")} in ${minutes} min`,
    since: first.atMs,
    next:
      times >= 3
        ? "an operation that kills its worker twice is set aside; pauses between starts grow to 30 s"
        : "it goes on; this is forgotten after ten minutes",
    wayOut: "look into the log for why they ended",
  };
};

export const processRows = {
  "redis-away": redisAway,
  "database-unreadable": databaseUnreadable,
  "database-full": databaseFull,
  "disk-full": diskFull,
  "records-unwritable": recordsUnwritable,
  "worker-down": workerDown,
  "worker-hangs": workerHangs,
  "queue-paused": queuePaused,
  "unpack-workers-down": unpackersDown,
  "unpack-workers-hang": unpackersHang,
  "grpc-down": grpcDown,
  "up-silent": silent,
  "not-ready": notReady,
  "disk-reserve-gone": reserveGone,
  "workers-restarting": restarting,
  "not-running": notRunning,
} as const satisfies Readonly<Record<string, Row>>;
