// Room: jobs. Owns the registry of jobs: each is declared here once, and everything that handles jobs is derived from it.
import { z } from "zod";
import { internal, invalidArgument } from "../domain/errors.ts";
import { type OperationId, operationId, type PoolName, parseDeviceName } from "../domain/identifiers.ts";
import { faultsOf } from "../domain/parsing.ts";
import { maxFieldPaths } from "../domain/update-mask.ts";
import { batchJobs } from "./batch-jobs.ts";
import { failedAt, membership } from "./batch-schemas.ts";
import { operatorJobs } from "./operator-jobs.ts";
import {
  atMost,
  branded,
  copyName,
  diagnosis,
  envelope,
  fieldPath,
  imageId,
  imageNameId,
  key,
  labels,
  mounts,
  nothing,
  removedImages,
  resolution,
  scoped,
  sizeBytes,
  snapshot,
  timedProgress,
  unpackAccount,
  unpackedImage,
  type unpackedLayer,
  unpackProgress,
  unpackRequest,
} from "./schemas.ts";

interface Schemas {
  readonly payload: z.ZodObject;
  readonly result: z.ZodType;
}

/** Executed by the pool's worker, one job after the other. */
interface PoolJob extends Schemas {
  readonly worker: "pool";
  /**
   * Whether the snapshotter executes the job, with the journal, so that it has one effect however often it is delivered.
   * The journal hashes the payload, with or without the pool's name, to recognize a repeated operation. A job keeps its
   * choice for good: a change would refuse operations that are repeated across an upgrade. New jobs: "with pool".
   */
  readonly journal: "with pool" | "without pool" | "none";
}

/** Executed by the unpack workers, in parallel. */
interface UnpackJob extends Schemas {
  readonly worker: "unpack";
  readonly journal: "none";
}

type JobDeclaration = PoolJob | UnpackJob;

/** How many unpacks can be accepted at once. */
const maxUnpacks = 1000;
/** How many findings can be chosen for a repair. */
const maxFindings = 1000;
/** How many images can be removed or pinned at once. */
const maxImages = 1000;

/** How many copies can be committed at once. */
export const maxCopies = 64;

export const jobs = {
  prepare: {
    worker: "pool",
    journal: "with pool",
    payload: z.object({ ...scoped, key, parent: key.optional(), labels }),
    result: mounts,
  },
  view: {
    worker: "pool",
    journal: "with pool",
    payload: z.object({ ...scoped, key, parent: key.optional(), labels }),
    result: mounts,
  },
  commit: {
    worker: "pool",
    journal: "with pool",
    payload: z.object({ ...scoped, name: key, key, labels }),
    result: nothing,
  },
  /** Commits what `key` holds now as `name`; `key` stays active, as a child of `name`. `keyLabels` replace its labels. */
  checkpoint: {
    worker: "pool",
    journal: "with pool",
    payload: z.object({ ...scoped, name: key, key, labels, keyLabels: labels.optional() }),
    result: nothing,
  },
  /**
   * The same, several times at once, for what `key` held at earlier moments: whoever has it mounted has left a copy of each
   * where the pool's driver looks for it. Oldest first; `failed_precondition` when a copy is gone.
   */
  "commit-copies": {
    worker: "pool",
    journal: "with pool",
    payload: z.object({
      ...scoped,
      key,
      copies: atMost(maxCopies, z.object({ copy: copyName, name: key, labels })),
      keyLabels: labels.optional(),
    }),
    result: nothing,
  },
  remove: {
    worker: "pool",
    journal: "with pool",
    payload: z.object({ ...scoped, key }),
    result: nothing,
  },
  /** `fieldPaths`: `labels` or `labels.<name>`; none means all labels. */
  update: {
    worker: "pool",
    journal: "with pool",
    payload: z.object({ ...scoped, key, labels, fieldPaths: atMost(maxFieldPaths, fieldPath) }),
    result: snapshot,
  },
  /** Deletes the device of a removed snapshot. Comes from the outbox; every failure is retried. */
  "remove-device": {
    worker: "pool",
    journal: "with pool",
    payload: z.object({ ...envelope, device: branded(parseDeviceName) }),
    result: nothing,
  },
  ...operatorJobs,
  /** Does nothing: its answer shows that jobs run. */
  probe: {
    worker: "pool",
    journal: "none",
    payload: z.object(envelope),
    result: nothing,
  },
  /** Finishes now what removals and dead unpacks have left, and prunes the journal. */
  cleanup: {
    worker: "pool",
    journal: "without pool",
    payload: z.object(envelope),
    result: z.object({ removedDevices: z.number(), removedSnapshots: z.number() }),
  },
  /**
   * Reports what is not in order in the pool; with `repair`, repairs what can be repaired safely: all of it, or `only`
   * what has these identities. One that is not found, or not safe to repair, is left out without an error.
   */
  doctor: {
    worker: "pool",
    journal: "with pool",
    payload: z.object({
      ...envelope,
      repair: z.boolean(),
      only: atMost(maxFindings, z.string().regex(/^[0-9a-f]{12}$/, "an ID has 12 hexadecimal digits")).optional(),
    }),
    result: z.object({ findings: z.array(diagnosis).readonly() }),
  },
  /** Grows a thin-pool: one in files to these sizes, one on devices to theirs. Answers the new sizes. */
  "grow-pool": {
    worker: "pool",
    journal: "with pool",
    payload: z.object({ ...envelope, dataBytes: sizeBytes.optional(), metadataBytes: sizeBytes.optional() }),
    result: z.object({ dataBytes: z.number(), metadataBytes: z.number() }),
  },
  /** Removes every snapshot and device of the pool; `failed_precondition` while one is busy. */
  "reset-pool": {
    worker: "pool",
    journal: "without pool",
    payload: z.object(envelope),
    result: z.object({ removedDevices: z.number() }),
  },
  /** Writes unpacks to the outbox before they are queued, so that they survive the loss of Redis. */
  "accept-unpack": {
    worker: "pool",
    journal: "without pool",
    payload: z.object({
      ...envelope,
      requests: atMost(maxUnpacks, z.object({ operationId: branded(operationId), ...unpackRequest })),
    }),
    result: nothing,
  },
  /**
   * Ends an accepted unpack. Unpacked: the image is recorded and the outbox entry goes. Failed for good: the entry goes,
   * unless it is cancelled. Cancelled by its caller: the entry stays, marked, for a bounded time, so that a worker that
   * has the job, now or after a restart, sees it and gives up; also when the cancellation comes before the acceptance.
   */
  "settle-unpack": {
    worker: "pool",
    journal: "with pool",
    payload: z.object({
      ...envelope,
      unpackOperationId: branded(operationId),
      /** How it went; an older worker does not tell. */
      account: unpackAccount.optional(),
      outcome: z.discriminatedUnion("kind", [
        z.object({ kind: z.literal("unpacked"), image: unpackedImage }),
        z.object({ kind: z.literal("failed"), reason: z.string(), ...failedAt }),
        z.object({ kind: z.literal("cancelled") }),
      ]),
    }),
    result: nothing,
  },
  /**
   * Removes names of images, and whole images with all their names. With its last name an image goes, and with it every
   * layer that no image, child, client of the socket or accepted unpack uses; `isMore` when there are more of them than one
   * operation removes. Images that are pinned, or were asked for after `notAskedSinceMs`, are kept.
   */
  "remove-images": {
    worker: "pool",
    journal: "with pool",
    payload: z.object({
      ...envelope,
      names: atMost(maxImages, imageNameId),
      images: atMost(maxImages, imageId),
      notAskedSinceMs: z.number().optional(),
    }),
    result: removedImages,
  },
  /** All or none of them: `not_found`, and `failed_precondition` for one that is being removed. */
  "pin-images": {
    worker: "pool",
    journal: "with pool",
    payload: z.object({ ...envelope, images: atMost(maxImages, imageId), isPinned: z.boolean() }),
    result: nothing,
  },
  ...batchJobs,
  /** Unpacks an image; its answer is settled in the pool's database by `settle-unpack`. */
  unpack: {
    worker: "unpack",
    journal: "none",
    payload: z.object({ ...envelope, ...unpackRequest, batch: membership.optional() }),
    result: unpackedImage,
  },
  /** Resolves an image as `unpack` would, and fetches no layer. Changes nothing, and is queued before all unpacks. */
  resolve: { worker: "unpack", journal: "none", ...resolution },
} satisfies Record<string, JobDeclaration>;

export type Jobs = typeof jobs;
export type JobName = keyof Jobs;
type NamesOf<Declared extends Partial<JobDeclaration>> = {
  [Name in JobName]: Jobs[Name] extends Declared ? Name : never;
}[JobName];
export type PoolJobName = NamesOf<{ worker: "pool" }>;
export type UnpackJobName = NamesOf<{ worker: "unpack" }>;
/** Jobs that the snapshotter executes. */
export type JournaledJobName = NamesOf<{ journal: "with pool" | "without pool" }>;

/** A payload as the handler gets it: parsed. */
export type Payload<Name extends JobName> = z.output<Jobs[Name]["payload"]>;
export type Result<Name extends JobName> = z.output<Jobs[Name]["result"]>;
/** A payload's own fields, as callers give them. */
export type Arguments<Name extends JobName> = Omit<z.input<Jobs[Name]["payload"]>, keyof typeof envelope>;
/** A payload's own fields, parsed. */
export type RequestOf<Name extends JobName> = Omit<Payload<Name>, keyof typeof envelope>;

/** A journaled job as a function: with one operation ID and request it has one effect, and one answer. */
export type JournaledVerb<Name extends JournaledJobName> = (
  operationId: OperationId,
  request: RequestOf<Name>,
) => Promise<Result<Name>>;
export type JournaledVerbs = { readonly [Name in JournaledJobName]: JournaledVerb<Name> };

export type UnpackRequest = Readonly<RequestOf<"unpack">>;
export type UnpackedImage = Result<"unpack">;
export type ResolvedImageReport = Result<"resolve">;
export type UnpackedLayer = z.output<typeof unpackedLayer>;
export type UnpackProgress = z.output<typeof unpackProgress>;
export type UnpackAccount = z.output<typeof unpackAccount>;
export type TimedProgress = z.output<typeof timedProgress>;
export { timedProgress, unpackProgress, unpackRequest };

const jobNames = Object.keys(jobs).filter(isJobName);
export const poolJobNames = jobNames.filter(isPoolJobName);
export const unpackJobNames = jobNames.filter(isUnpackJobName);
export const journaledJobNames = jobNames.filter(isJournaledJobName);

export function isJobName(name: string): name is JobName {
  return Object.hasOwn(jobs, name);
}

export function isPoolJobName(name: string): name is PoolJobName {
  return isJobName(name) && jobs[name].worker === "pool";
}

function isUnpackJobName(name: string): name is UnpackJobName {
  return isJobName(name) && jobs[name].worker === "unpack";
}

function isJournaledJobName(name: string): name is JournaledJobName {
  return isJobName(name) && jobs[name].journal !== "none";
}

/** An entry for each journaled job, by name; `entryOf` must answer each name with its entry of `Entries`. */
export const forJournaledJobs = <Entries extends Record<JournaledJobName, unknown>>(
  entryOf: (name: JournaledJobName) => unknown,
): Entries => Object.fromEntries(journaledJobNames.map((name) => [name, entryOf(name)])) as unknown as Entries;

/** A payload without what every payload has. */
export function requestOf<Name extends JobName>(payload: Payload<Name>): RequestOf<Name> {
  const { pool: _pool, operationId: _operationId, ...request } = payload;
  return request;
}

/** What the journal remembers of a request, by hash. */
export const journaledPayload = <Name extends JournaledJobName>(
  name: Name,
  pool: PoolName,
  request: RequestOf<Name>,
): object => (jobs[name].journal === "with pool" ? { pool, ...request } : request);

/** `given` as the payload of the job `name`; invalid_argument lists everything that is wrong with it. */
export function parsePayload<Name extends JobName>(name: Name, given: unknown): Payload<Name> {
  const parsed = jobs[name].payload.safeParse(given);
  if (!parsed.success) throw invalidArgument(`${name}: ${faultsOf(parsed.error.issues)}`, parsed.error);
  return parsed.data as Payload<Name>;
}

/** `given` as the result of the job `name`; anything else is `internal`: the worker's answer has another shape. */
export function parseResult<Name extends JobName>(name: Name, given: unknown): Result<Name> {
  const parsed = jobs[name].result.safeParse(given);
  if (!parsed.success)
    throw internal(`${name} was answered with nonsense: ${faultsOf(parsed.error.issues)}`, parsed.error);
  return parsed.data as Result<Name>;
}
