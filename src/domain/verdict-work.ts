// Room: domain. Owns what can be wrong with the work of a pool: queues, unpacks, batches, removals: a part of the verdict's table.
import { formatSize } from "./units.ts";
import type { FailingRemovals, VerdictFacts } from "./verdict-facts.ts";
import { commandOn, counted, type Found, type Row, roughly } from "./verdict-trouble.ts";

/** The pool's jobs take milliseconds; an unpack may be one of hundreds that were asked for. */
const tooLongMs = { pool: 60_000, unpack: 15 * 60_000 } as const;
/** Ten layers of a gigabyte take less. */
const idleMs = 20 * 60_000;
/** A hold that was forgotten. */
const longHoldMs = 4 * 3_600_000;

const held: Row = ({ hold, pool, nowMs }) => {
  if (hold === undefined) return undefined;
  const { kind, heldBy, reason, sinceMs } = hold;
  return {
    severity: nowMs - sinceMs > longHoldMs ? "warning" : "notice",
    sentence: `unpacks are ${kind} by ${heldBy} (${reason})`,
    since: sinceMs,
    next: "unpacks are accepted and wait until they are resumed",
    wayOut: "resume them when the reason is gone",
    remedy: {
      label: "Resume unpacks",
      operation: "releaseQueue",
      input: {},
      command: commandOn(pool, "resume"),
    },
  };
};

const waitsTooLong: Row = ({ watch, hold, nowMs }) => {
  const oldest = watch?.oldestWaitingMs;
  if (oldest === undefined || oldest === null) return undefined;
  const late = (["pool", "unpack"] as const).find(
    (queue) => oldest[queue] > tooLongMs[queue] && !(queue === "unpack" && hold !== undefined),
  );
  if (late === undefined) return undefined;
  const what = late === "pool" ? "a change" : "an unpack";
  return {
    severity: "warning",
    sentence: `${what} has waited in the queue for ${roughly(oldest[late])}`,
    since: nowMs - oldest[late],
    next: "what waits behind it waits as long; callers give up at their deadlines",
    wayOut:
      late === "pool"
        ? "look what the pool's worker does now, and whether its disk is slow"
        : "look which unpacks run, and whether there are enough unpack workers",
  };
};

const unpacksIdle: Row = ({ unpacksIdleSinceMs: sinceMs, nowMs }) =>
  sinceMs === null || nowMs - sinceMs < idleMs
    ? undefined
    : {
        severity: "warning",
        sentence: `unpacks run, and none has ended a layer for ${roughly(nowMs - sinceMs)}`,
        since: sinceMs,
        next: "they go on until they end, or their time limit comes; others wait",
        wayOut: "look at their layers: a registry or a disk may be slow; cancel those that stand still",
      };

const setAside: Row = ({ setAside: { count, jobs, sinceMs }, pool }) =>
  count === 0
    ? undefined
    : {
        severity: "warning",
        sentence: `${counted(count, "operation")} set aside, since workers died executing ${count === 1 ? "it" : "them"}: ${[...new Set(jobs)].join(", ")}`,
        since: sinceMs,
        next:
          count === 1
            ? "it is refused; what it was for stays undone"
            : "they are refused; what they were for stays undone",
        wayOut: `'${commandOn(pool, "doctor")}' names ${count === 1 ? "it" : "them"}; when the cause is mended, allow ${count === 1 ? "it" : "them"} again: whoever asked must ask once more`,
        remedy: {
          label: "Allow what was set aside",
          operation: "cleanup",
          input: {},
          command: commandOn(pool, "cleanup"),
        },
      };

const removalsFailed: Row = ({ failedRemovals, pool }) =>
  failedRemovals.count === 0
    ? undefined
    : {
        severity: "warning",
        ...describe(failedRemovals, `${counted(failedRemovals.count, "removal")} given up`, pool),
        next: "they are not tried again before the next start; the space stays taken",
      };

const removalsFailing: Row = ({ failingRemovals, pool }) =>
  failingRemovals.count === 0
    ? undefined
    : {
        severity: "notice",
        ...describe(failingRemovals, `${counted(failingRemovals.count, "removal")} tried in vain`, pool),
        next: "they are tried with growing pauses, for about an hour; then they are given up",
      };

function describe({ error, sinceMs, holder, bytes }: FailingRemovals, what: string, pool: string) {
  const because = holder === null ? error : `the device is ${holder}`;
  const space = bytes === 0 ? "" : `, ${formatSize(bytes)} to free`;
  return {
    sentence: `${what}${space}${because === null ? "" : `: ${because}`}`,
    since: sinceMs,
    wayOut:
      holder === null
        ? "mend what the sentence names, then have them tried again"
        : "end what holds the device, or unmount it, then have them tried again",
    remedy: {
      label: "Try them again",
      operation: "retryRemovals",
      input: { all: true },
      command: commandOn(pool, "removals retry --all"),
    },
  } satisfies Partial<Found>;
}

const batchFails: Row = ({ failedBatches: [first, ...others], pool }) => {
  if (first === undefined) return undefined;
  const { batch, name, failed, items, isOver, sinceMs } = first;
  const more = others.length === 0 ? "" : `, and ${counted(others.length, "other batch").replace("batchs", "batches")}`;
  return {
    severity: "warning",
    sentence: `${failed} of ${counted(items, "image")} of batch ${name ?? batch} have failed${more}`,
    since: sinceMs,
    next: isOver ? "they stay failed" : "the others go on; those that failed stay failed",
    wayOut: `'${commandOn(pool, `batch show ${batch}`)}' says why; when the cause is mended, have them tried again`,
    remedy: {
      label: "Retry what failed",
      operation: "retryBatch",
      input: { batch, failedOnly: true },
      command: commandOn(pool, `batch retry ${batch} --failed`),
    },
  };
};

const doctorFound: Row = ({ watch, pool }: VerdictFacts) => {
  const doctor = watch?.doctor;
  if (doctor === undefined || doctor === null || doctor.findings === 0) return undefined;
  return {
    severity: "warning",
    sentence: `doctor has found ${counted(doctor.findings, "fault")} that ${doctor.findings === 1 ? "is" : "are"} not repaired`,
    since: doctor.atMs,
    next: "they stay until they are repaired",
    wayOut: `'${commandOn(pool, "doctor")}' names each with its way out; a repair mends what is safe to mend`,
    remedy: {
      label: "Repair what is safe",
      operation: "doctor",
      input: { repair: true },
      command: commandOn(pool, "doctor --repair"),
    },
  };
};

export const workRows = {
  "operations-set-aside": setAside,
  "removals-failed": removalsFailed,
  "unpacks-idle": unpacksIdle,
  "waits-too-long": waitsTooLong,
  "batch-failures": batchFails,
  "doctor-findings": doctorFound,
  "removals-failing": removalsFailing,
  "queue-held": held,
} as const satisfies Readonly<Record<string, Row>>;
