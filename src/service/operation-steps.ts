// Room: service. Owns the way of an operation from its caller to a device, as a time line of what is known of it.
import { z } from "zod";
import type { JobAccount } from "../jobs/requests/job-account.ts";
import type { Strike } from "../metadata/strikes.ts";
import type { Removal } from "./removals.ts";

/** `up` is the process that serves the API; `records` are the pool's database: journal and outbox. */
export const operationPlaces = ["up", "records", "queue", "worker", "device"] as const;
type Place = (typeof operationPlaces)[number];

export const operationStep = z.object({
  atMs: z.number(),
  place: z.enum(operationPlaces),
  /** A sentence without its full stop. */
  what: z.string(),
  isFailure: z.boolean(),
});
export type OperationStep = z.output<typeof operationStep>;

interface Ended {
  readonly startedAtMs: number;
  readonly endedAtMs: number | null | undefined;
  readonly isFailure: boolean;
}

/** Each is undefined where nothing is known. */
export interface OperationFacts {
  readonly asked: (Ended & { readonly operation: string }) | undefined;
  readonly outbox: { readonly createdAtMs: number; readonly cancelledAtMs: number | null } | undefined;
  readonly job: JobAccount | undefined;
  readonly journal: Ended | undefined;
  readonly unpack: Ended | undefined;
  readonly removal: Removal | undefined;
  readonly strike: Strike | undefined;
}

/** In the order of their times; of the same time, in that of their way. */
export function stepsOf(facts: OperationFacts): readonly OperationStep[] {
  const steps = [
    ...ofAsked(facts.asked),
    ...ofOutbox(facts.outbox),
    ...ofJob(facts.job),
    ...ofJournal(facts.journal),
    ...ofUnpack(facts.unpack),
    ...ofRemoval(facts.removal),
    ...ofStrike(facts.strike),
    ...ends(facts),
  ];
  return steps.toSorted((one, other) => one.atMs - other.atMs);
}

const step = (place: Place, atMs: number | null | undefined, what: string, isFailure = false): OperationStep[] =>
  atMs === null || atMs === undefined ? [] : [{ atMs, place, what, isFailure }];

const ofAsked = (asked: OperationFacts["asked"]): OperationStep[] =>
  asked === undefined ? [] : step("up", asked.startedAtMs, `${asked.operation} was asked for over HTTP, and began`);

const ofOutbox = (outbox: OperationFacts["outbox"]): OperationStep[] =>
  outbox === undefined
    ? []
    : [
        ...step(
          "records",
          outbox.createdAtMs,
          "written down in the outbox: from here on it survives the loss of Redis",
        ),
        ...step("records", outbox.cancelledAtMs, "cancelled", true),
      ];

function ofJob(job: JobAccount | undefined): OperationStep[] {
  if (job === undefined) return [];
  const taken = job.begun > 1 ? `a worker took it, for the ${nth(job.begun)} time` : "a worker took it";
  return [...step("queue", job.queuedAtMs, `${job.job} was queued`), ...step("worker", job.takenAtMs, taken)];
}

function ofJournal(journal: OperationFacts["journal"]): OperationStep[] {
  if (journal === undefined) return [];
  if (journal.startedAtMs === journal.endedAtMs) return [];
  return step("records", journal.startedAtMs, "intent written into the journal: effects on devices may begin");
}

const ofUnpack = (unpack: OperationFacts["unpack"]): OperationStep[] =>
  unpack === undefined ? [] : step("worker", unpack.startedAtMs, "its last attempt began to unpack");

function ofRemoval(removal: Removal | undefined): OperationStep[] {
  if (removal === undefined) return [];
  const { device, attempts, failingSinceMs, lastFailedAtMs, givenUpAtMs, discardedAtMs, discardReason } = removal;
  return [
    ...step("device", failingSinceMs, `the first attempt to remove ${device} failed`, true),
    ...(lastFailedAtMs === failingSinceMs
      ? []
      : step("device", lastFailedAtMs, `the ${nth(attempts)} attempt failed`, true)),
    ...step(
      "records",
      givenUpAtMs,
      `given up after ${attempts} attempts, until it is retried or snapmill starts`,
      true,
    ),
    ...step("records", discardedAtMs, `discarded: ${discardReason ?? ""}`),
    ...step("queue", removal.nextTryAtMs, "it is tried again"),
  ];
}

const ofStrike = (strike: Strike | undefined): OperationStep[] =>
  strike === undefined
    ? []
    : step("worker", strike.lastAtMs, `a worker died while it executed it, for the ${nth(strike.deaths)} time`, true);

function ends({ asked, job, journal, unpack }: OperationFacts): OperationStep[] {
  const answer = (isFailure: boolean) => (isFailure ? "failed" : "done");
  return [
    ...(unpack === undefined
      ? []
      : step("worker", unpack.endedAtMs, `the unpack ended: ${answer(unpack.isFailure)}`, unpack.isFailure)),
    ...(journal === undefined
      ? []
      : step("records", journal.endedAtMs, `answer in the journal: ${answer(journal.isFailure)}`, journal.isFailure)),
    ...(job === undefined ? [] : step("queue", job.endedAtMs, "the job ended")),
    ...(asked === undefined
      ? []
      : step("up", asked.endedAtMs, `its caller had the answer: ${answer(asked.isFailure)}`, asked.isFailure)),
  ];
}

const endings: Readonly<Record<string, string>> = { one: "st", two: "nd", few: "rd" };
const ordinals = new Intl.PluralRules("en", { type: "ordinal" });
const nth = (number: number): string => `${number}${endings[ordinals.select(number)] ?? "th"}`;
