// Room: service. Owns all that is known of one operation: its way, its attempts, what it was asked, its log, its trace.
import { z } from "zod";
import { AbortReason, Canceller } from "../domain/cancellation.ts";
import { decodeFailure, notFound } from "../domain/errors.ts";
import type { OperationId } from "../domain/identifiers.ts";
import { redacted } from "../domain/redaction.ts";
import { inTime, startTimer } from "../domain/timers.ts";
import { parseTraceparent } from "../domain/traceparent.ts";
import type { JobAccount } from "../jobs/requests/job-account.ts";
import { journaledOperation } from "../metadata/journal.ts";
import { outboxEntry } from "../metadata/outbox.ts";
import { removalRecords } from "../metadata/pending-removals.ts";
import { strikesOf } from "../metadata/strikes.ts";
import { findUnpack } from "../metadata/unpacks.ts";
import { auditedRequest } from "./audited-request.ts";
import type { Host } from "./host.ts";
import { operation } from "./operation.ts";
import { operationInput, operationState, stateOf } from "./operation-state.ts";
import { type OperationFacts, operationStep, stepsOf } from "./operation-steps.ts";
import { heldByEach } from "./removal-filter.ts";
import { describedRemoval, removal } from "./removals.ts";
import type { PoolService } from "./service.ts";

const attempt = z.object({
  /** Null: it is not known which. */
  number: z.number().int().nullable(),
  atMs: z.number().nullable(),
  message: z.string(),
  /** Where it was thrown; null: that is not known. */
  stack: z.string().nullable(),
});
type Attempt = z.output<typeof attempt>;

export const operationAccount = operationState.extend({
  /** From its caller to the device, by time. */
  steps: z.array(operationStep),
  /** Attempts that failed, the newest first; the queue keeps the last five. */
  failures: z.array(attempt),
  /** Null: its queue does not know it any more, or was not asked. */
  attempts: z.object({ made: z.number().int(), most: z.number().int() }).nullable(),
  /** What its job was asked, without secrets, cut where it is long; null: its queue does not know it any more. */
  payload: z.unknown(),
  /** The last 200 lines of its job's log. */
  log: z.object({ lines: z.array(z.string()), count: z.number().int() }),
  traceId: z.string().nullable(),
  /** Of the removal of a device that is not done. */
  removal: removal.nullable(),
  canBeCancelled: z.boolean(),
  /** Why the queue is not asked; null: it was. */
  queueTrouble: z.string().nullable(),
});
export type OperationAccount = z.output<typeof operationAccount>;

/** For Redis; without an answer, what the databases know is told. */
const patienceMs = 2_000;

/** Throws not_found for an operation that nobody has asked for, or that is no longer remembered. */
export const explainOperation = operation(
  { input: operationInput, output: operationAccount },
  async (host: Host, { operationId: id }): Promise<OperationAccount> => {
    const state = await stateOf(host, id);
    if (state === undefined) throw notFound(`there is no operation ${id}, or it ended too long ago to be remembered`);
    const service = [...host.pools].find(([name]) => name === state.pool)?.[1];
    const recorded = service === undefined ? nothing : await recordedFacts(service, id);
    const { job, trouble } = service === undefined ? unasked : await jobOf(service, id);
    const asked = askedFacts(host, id);
    const { traceparent, ...facts } = recorded;
    const isHere = host.operations.find(id)?.answer === undefined && host.operations.find(id) !== undefined;
    return {
      ...state,
      steps: [...stepsOf({ ...facts, asked, job })],
      failures: failuresOf(state.failure?.message, state.endedAtMs, job, facts.removal),
      attempts: job === undefined ? null : { made: job.attempts, most: job.mostAttempts },
      payload: job === undefined ? null : (JSON.parse(auditedRequest(job.payload)) as unknown),
      log: { lines: (job?.log.lines ?? []).map(redacted), count: job?.log.count ?? 0 },
      traceId: parseTraceparent(job?.traceparent ?? traceparent)?.traceId ?? null,
      removal: facts.removal ?? null,
      canBeCancelled: state.state === "running" && (isHere || (state.operation === "unpack" && service !== undefined)),
      queueTrouble: trouble,
    };
  },
);

type Recorded = Pick<OperationFacts, "outbox" | "journal" | "unpack" | "removal" | "strike"> & {
  readonly traceparent: string | null | undefined;
};
const nothing: Recorded = {
  outbox: undefined,
  journal: undefined,
  unpack: undefined,
  removal: undefined,
  strike: undefined,
  traceparent: undefined,
};
const unasked = { job: undefined, trouble: "it is of no pool" };

async function recordedFacts(service: PoolService, id: OperationId): Promise<Recorded> {
  const database = service.database();
  const [outbox, journal, row] = [
    outboxEntry(database, id),
    journaledOperation(database, id),
    findUnpack(database, id),
  ];
  return {
    outbox,
    traceparent: outbox?.traceparent,
    journal: journal && {
      startedAtMs: journal.intendedAtMs,
      endedAtMs: journal.settledAtMs,
      isFailure: journal.answer?.outcome === "failure",
    },
    unpack: row && { ...row, isFailure: row.outcome !== "unpacked" },
    strike: strikesOf(database, id),
    removal: outbox?.job === "remove-device" ? await removalOf(service, id) : undefined,
  };
}

async function removalOf(service: PoolService, id: OperationId) {
  const record = removalRecords(service.database()).find(({ operationId }) => operationId === id);
  if (record === undefined) return undefined;
  const held = await heldByEach(service, [record]);
  return describedRemoval(record, held.get(record.device));
}

async function jobOf(service: PoolService, id: OperationId) {
  const waiting = new Canceller();
  const late = `Redis does not answer within ${patienceMs / 1000} s`;
  using _timer = startTimer(patienceMs, () => waiting.cancel(new AbortReason("deadline", late)));
  try {
    const client = await service.client(waiting.signal);
    // In an object: the queue may know nothing of it.
    const found = await inTime(
      patienceMs,
      client.account(id).then((job) => ({ job })),
    );
    return { job: found?.job, trouble: found === undefined ? late : null };
  } catch (error) {
    return { job: undefined, trouble: error instanceof Error ? error.message : String(error) };
  }
}

function askedFacts({ operations }: Host, id: OperationId): OperationFacts["asked"] {
  const tracked = operations.find(id);
  const found = tracked ?? operations.recorded(id);
  if (found === undefined) return undefined;
  const name = "asked" in found ? found.asked.operation : found.operation;
  const { startedAtMs, endedAtMs, answer } = found;
  return { operation: name, startedAtMs, endedAtMs, isFailure: answer?.outcome === "failure" };
}

function failuresOf(
  message: string | undefined,
  endedAtMs: number | null,
  job: JobAccount | undefined,
  waiting: OperationFacts["removal"],
): Attempt[] {
  const lastAtMs = waiting?.lastFailedAtMs ?? job?.endedAtMs ?? endedAtMs;
  const made = Math.max(job?.attempts ?? 0, waiting?.attempts ?? 0);
  const thrown = (job?.stacks ?? []).toReversed().map((text, index) => ({
    number: made - index > 0 ? made - index : null,
    atMs: index === 0 ? lastAtMs : null,
    ...told(text),
  }));
  if (thrown.length > 0) return thrown;
  const last = waiting?.lastError ?? message;
  return last === undefined
    ? []
    : [{ number: made > 0 ? made : null, atMs: lastAtMs, message: redacted(last), stack: null }];
}

/** What was thrown, apart from where. */
function told(text: string): Pick<Attempt, "message" | "stack"> {
  const [, head = text, stack] = /^(.*?)(\n\s+at .*)?$/s.exec(text) ?? [];
  const message = decodeFailure(head.replace(/^\w*Error: /, "")).message;
  return { message: redacted(message), stack: stack === undefined ? null : redacted(stack.trim()) };
}
