// Room: service. Owns the marks in a pool's history: what was done to the pool, from audit log, journal and records.
import { z } from "zod";
import type { AuditRow } from "../metadata/audit.ts";
import { readAudit } from "../metadata/audit.ts";
import { listBatches } from "../metadata/batches.ts";
import type { Database } from "../metadata/database.ts";
import { listImages } from "../metadata/images.ts";
import { settledOperations } from "../metadata/journal.ts";

export const markKinds = ["grow", "cleanup", "reset", "drain", "pause", "resume", "prune", "unpack", "batch"] as const;
type MarkKind = (typeof markKinds)[number];

export const mark = z.object({
  kind: z.enum(markKinds),
  /** When it was asked for; of an unpack, when it was done. */
  atMs: z.number(),
  /** Null: it has not ended, or that is not recorded. */
  endedAtMs: z.number().nullable(),
  /** The image or the batch; null: it was of the pool. */
  subject: z.string().nullable(),
  /** The name of the token it was asked with; null: by a command on the pool's host, or it is not known. */
  token: z.string().nullable(),
  operationId: z.string().nullable(),
  /** `ok`, `begun`, or the code of its failure. */
  code: z.string(),
});
export type Mark = z.output<typeof mark>;

const byOperation: Readonly<Record<string, MarkKind>> = {
  growPool: "grow",
  cleanup: "cleanup",
  resetPool: "reset",
  drain: "drain",
  holdQueue: "pause",
  releaseQueue: "resume",
  pruneImages: "prune",
};
const jobs = ["grow-pool", "cleanup", "reset-pool", "hold-queue", "release-queue"];

interface Range {
  readonly afterMs: number;
  readonly untilMs: number;
}

/** Of a pool with millions of changes a chart shows the last ones. */
const mostMarks = 500;
/** How much of the audit log is looked through for them, from its end. */
const mostRows = 5_000;

/** The latest marks in a range, in the order of time. */
export function marksOf(
  pool: string,
  from: { audit?: Database | undefined; records?: Database },
  range: Range,
): Mark[] {
  const asked = from.audit === undefined ? [] : auditedMarks(from.audit, pool, range);
  const recorded = from.records === undefined ? [] : recordedMarks(from.records, range);
  const others = recorded.filter((mark) => !asked.some((known) => isPartOf(mark, known)));
  return [...asked, ...others].sort((one, other) => one.atMs - other.atMs).slice(-mostMarks);
}

/** An operation may have its job executed under an ID of the job's own. */
const isPartOf = (recorded: Mark, asked: Mark): boolean =>
  recorded.kind === asked.kind &&
  recorded.atMs >= asked.atMs &&
  recorded.atMs <= (asked.endedAtMs ?? Number.POSITIVE_INFINITY);

function auditedMarks(audit: Database, pool: string, { afterMs, untilMs }: Range): Mark[] {
  const wanted = { pool, operations: Object.keys(byOperation), sinceMs: afterMs, untilMs: untilMs + 1 };
  return readAudit(audit, wanted, Number.MAX_SAFE_INTEGER, mostRows).flatMap(auditedMark);
}

function auditedMark({ operation, atMs, endedAtMs, tokenName, operationId, code }: AuditRow): Mark[] {
  const kind = byOperation[operation ?? ""];
  return kind === undefined
    ? []
    : [{ kind, atMs, endedAtMs, subject: null, token: tokenName, operationId, code: code ?? "begun" }];
}

function recordedMarks(records: Database, { afterMs, untilMs }: Range): Mark[] {
  const isWithin = (atMs: number) => atMs > afterMs && atMs <= untilMs;
  const unknown = { endedAtMs: null, token: null, operationId: null, code: "ok" } as const;
  return [
    ...settledOperations(records, jobs, afterMs).flatMap((operation): Mark[] => {
      const { operationId, job, intendedAtMs: atMs, settledAtMs: endedAtMs, answer } = operation;
      const code = answer?.outcome === "failure" ? answer.failure.code : "ok";
      return isWithin(atMs)
        ? [{ kind: kindOf(job, answer), atMs, endedAtMs, subject: null, token: null, operationId, code }]
        : [];
    }),
    ...listImages(records)
      .filter(({ unpackedAtMs }) => isWithin(unpackedAtMs))
      .map(({ unpackedAtMs, names, manifestDigest }) => {
        const subject = names[0]?.reference ?? manifestDigest;
        return { ...unknown, kind: "unpack" as const, atMs: unpackedAtMs, subject };
      }),
    ...listBatches(records, mostMarks)
      .filter(({ createdAtMs }) => isWithin(createdAtMs))
      .map(({ batch, name, createdAtMs }) => {
        return { ...unknown, kind: "batch" as const, atMs: createdAtMs, subject: name ?? batch };
      }),
  ];
}

function kindOf(job: string, answer: ReturnType<typeof settledOperations>[number]["answer"]): MarkKind {
  switch (job) {
    case "grow-pool":
      return "grow";
    case "reset-pool":
      return "reset";
    case "release-queue":
      return "resume";
    case "hold-queue":
      return answer?.outcome === "result" && isDrained(answer.result) ? "drain" : "pause";
    default:
      return "cleanup";
  }
}

const isDrained = (result: unknown): boolean =>
  typeof result === "object" && result !== null && "kind" in result && result.kind === "drained";
