// Room: service. Owns the map of everything that is offered over HTTP: operation name → operation.
//
// To offer one more: add it here (one line, in its group), add its line in api/http/v1/endpoints.ts (the compiler asks
// for it), and run `npm run openapi`. Server, OpenAPI document, client and remote command line are derived from these two.
// An operation gets its arguments parsed by its `input`; give fields that callers may leave out a `prefault` there.
// A list (`listOperation`) has an optional `after` in its `input`, which adapters make a cursor of.
import type { z } from "zod";
import type { OperationId } from "../domain/identifiers.ts";
import type { Recovery } from "../domain/recovery.ts";
import { listAudit } from "./audit.ts";
import { batch, batches, batchItems, cancelBatch, removeBatch, retryBatch, submitBatch } from "./batches.ts";
import { discardRemovals, retryRemovals } from "./change-removals.ts";
import { getDevice } from "./devices.ts";
import { doctor } from "./doctor.ts";
import { growPool } from "./grow-pool.ts";
import { history } from "./history.ts";
import { listPools } from "./host.ts";
import { listHosts } from "./hosts.ts";
import { images } from "./images.ts";
import { mountPoints } from "./mount.ts";
import { now } from "./now.ts";
import type { Place } from "./operation.ts";
import { explainOperation } from "./operation-account.ts";
import { cancelOperation, getOperation } from "./operation-state.ts";
import { pinImages, unpinImages } from "./pin-images.ts";
import { planUnpack } from "./plan-unpack.ts";
import { poolStatus } from "./pool-status.ts";
import { pruneImages } from "./prune-images.ts";
import { drain, holdQueue, queues, releaseQueue } from "./queues.ts";
import { readiness } from "./readiness.ts";
import { removalGroups } from "./removal-groups.ts";
import { cleanup, removals } from "./removals.ts";
import { removeCompletely } from "./remove-completely.ts";
import { removeImages } from "./remove-images.ts";
import { poolContents, resetPool } from "./reset-pool.ts";
import { checkpoint, commit, label, list, mounts, prepare, remove, stat, usage, view } from "./snapshots.ts";
import { space } from "./space.ts";
import { status } from "./status.ts";
import { cancelUnpack, unpack } from "./unpack.ts";
import { getUnpack, listUnpacks } from "./unpack-accounts.ts";
import { poolVerdict, verdict } from "./verdict.ts";

/** Run as `(service: PoolService, given, options)`; their paths begin with /v1/pools/{pool}. */
export const poolOperations = {
  // Snapshots.
  listSnapshots: list,
  stat,
  usage,
  mounts,
  mountPoints,
  prepare,
  view,
  commit,
  checkpoint,
  label,
  remove,
  removeCompletely,
  // Images.
  listImages: images,
  unpack,
  planUnpack,
  cancelUnpack,
  listUnpacks,
  getUnpack,
  removeImages,
  pruneImages,
  pinImages,
  unpinImages,
  // Batches.
  listBatches: batches,
  batch,
  submitBatch,
  removeBatch,
  listBatchItems: batchItems,
  cancelBatch,
  retryBatch,
  // The pool.
  status,
  poolVerdict,
  now,
  history,
  space,
  readiness,
  listHosts,
  poolStatus,
  poolContents,
  growPool,
  resetPool,
  getDevice,
  doctor,
  cleanup,
  // Queues.
  queues,
  holdQueue,
  releaseQueue,
  drain,
  // Removals of devices.
  listRemovals: removals,
  removalGroups,
  retryRemovals,
  discardRemovals,
};

/** Run as `(host: Host, given, options)`. */
export const hostOperations = {
  listPools,
  verdict,
  getOperation,
  explainOperation,
  cancelOperation,
  listAudit,
};

export const api = { ...poolOperations, ...hostOperations };

export type OperationName = keyof typeof api;
export type PoolOperationName = keyof typeof poolOperations;
export type HostOperationName = keyof typeof hostOperations;

/** Those that answer in pages. */
export type ListName = {
  [Name in OperationName]: (typeof api)[Name] extends { readonly placeOf: unknown } ? Name : never;
}[OperationName];

/** What a caller gives; identifiers are strings. A list's `after` is the adapter's matter. */
export type Input<Name extends OperationName> = Omit<z.input<(typeof api)[Name]["input"]>, AfterOf<Name>>;
type AfterOf<Name> = Name extends ListName ? "after" : never;
/** What a caller gets; of a list, one item. */
export type Output<Name extends OperationName> = z.output<(typeof api)[Name]["output"]>;

/** How an operation is called, wherever it runs. */
export interface ApiOptions {
  /** Makes a change repeatable: with the same ID and input it has one effect, and one answer. Default: a fresh one. */
  readonly operationId?: OperationId | undefined;
  /** Ends the waiting; what has not begun is taken back. */
  readonly signal?: AbortSignal | undefined;
  /** How long to wait for the answer. */
  readonly deadlineMs?: number | undefined;
  /** Why, for the audit log. */
  readonly reason?: string | undefined;
  /** The name of the token that it is asked with; undefined: it is this process's user who asks. */
  readonly caller?: string | undefined;
  /** Of a long operation: what it tells of itself on its way. */
  readonly onProgress?: ((progress: never) => void) | undefined;
}

/** Every operation as a function of its own, wherever it runs: here, or on another host. Lists are read page by page. */
export type Api = {
  readonly [Name in OperationName]: Name extends ListName
    ? (given: Input<Name>, options?: ApiOptions) => AsyncIterable<Output<Name>>
    : (given: Input<Name>, options?: ApiOptions) => Promise<Output<Name>>;
};
/** The operations on one pool. */
export type PoolApi = Pick<Api, PoolOperationName>;

/** An operation as a server runs it, which has parsed what was given. */
export interface Runnable {
  readonly input: z.ZodObject;
  readonly output: z.ZodType;
  readonly recovery: Recovery;
  /** Of a list. */
  readonly placeOf?: (item: unknown) => Place;
  readonly run: (target: unknown, given: unknown, options?: ApiOptions) => unknown;
}

export function runnable(name: OperationName): Runnable {
  const { input, output, ...rest } = api[name];
  const run = api[name] as unknown as Runnable["run"];
  const { placeOf, recovery = "unknown" } = rest as Pick<Runnable, "placeOf"> & Partial<Runnable>;
  return { input: input as z.ZodObject, output, run, recovery, ...(placeOf && { placeOf }) };
}
