// Room: snapshotter. Owns the table of verbs: the implementation of every journaled job.
import type { OperationId } from "../domain/identifiers.ts";
import type { JournaledJobName, RequestOf, Result } from "../jobs/contract.ts";
import { acceptUnpack } from "./accept-unpack.ts";
import { beginUnpack } from "./begin-unpack.ts";
import { cancelBatch } from "./cancel-batch.ts";
import { discardRemovals, retryRemovals } from "./change-removals.ts";
import { checkpoint } from "./checkpoint.ts";
import { cleanup } from "./cleanup.ts";
import { commit } from "./commit.ts";
import { commitCopies } from "./commit-copies.ts";
import type { Context } from "./context.ts";
import { prepare, view } from "./create.ts";
import { doctor } from "./doctor.ts";
import { growPool } from "./grow-pool.ts";
import { holdQueue, releaseQueue } from "./hold-queue.ts";
import { noteAttempt } from "./note-attempt.ts";
import type { Steps } from "./operations.ts";
import { pinImages } from "./pin-images.ts";
import { remove } from "./remove.ts";
import { removeBatch } from "./remove-batch.ts";
import { removeDevice } from "./remove-device.ts";
import { removeImages } from "./remove-images.ts";
import { resetPool } from "./reset-pool.ts";
import { retryBatch } from "./retry-batch.ts";
import { settleUnpack } from "./settle-unpack.ts";
import { submitBatch } from "./submit-batch.ts";
import { update } from "./update.ts";

/** Changes nothing itself: it returns steps, which the operation queue runs. */
export type Verb<Name extends JournaledJobName> = (
  context: Context,
  request: RequestOf<Name>,
  operationId: OperationId,
) => Steps<Result<Name>>;

/** A verb for every journaled job: one that is missing, or takes or answers something else, does not compile. */
export type Verbs = { readonly [Name in JournaledJobName]: Verb<Name> };

export const verbs: Verbs = {
  prepare,
  view,
  commit,
  checkpoint,
  "commit-copies": commitCopies,
  remove,
  update,
  "remove-device": removeDevice,
  "retry-removals": retryRemovals,
  "discard-removals": discardRemovals,
  "hold-queue": holdQueue,
  "release-queue": releaseQueue,
  cleanup,
  doctor,
  "grow-pool": growPool,
  "reset-pool": resetPool,
  "accept-unpack": acceptUnpack,
  "settle-unpack": settleUnpack,
  "remove-images": removeImages,
  "pin-images": pinImages,
  "submit-batch": submitBatch,
  "cancel-batch": cancelBatch,
  "retry-batch": retryBatch,
  "remove-batch": removeBatch,
  "begin-unpack": beginUnpack,
  "note-attempt": noteAttempt,
};
