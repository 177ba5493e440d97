// Room: cli. Owns the operations that commands call on a pool, wherever the pool is.
import {
  batch,
  batches,
  batchItems,
  cancelBatch,
  removeBatch,
  retryBatch,
  submitBatch,
} from "../../service/batches.ts";
import { doctor } from "../../service/doctor.ts";
import { growPool } from "../../service/grow-pool.ts";
import { listHosts } from "../../service/hosts.ts";
import { images } from "../../service/images.ts";
import { mountPoints } from "../../service/mount.ts";
import { pinImages, unpinImages } from "../../service/pin-images.ts";
import { planUnpack } from "../../service/plan-unpack.ts";
import { poolStatus } from "../../service/pool-status.ts";
import { pruneImages } from "../../service/prune-images.ts";
import { cleanup, discardRemovals, removals, retryRemovals } from "../../service/removals.ts";
import { removeCompletely } from "../../service/remove-completely.ts";
import { removeImages } from "../../service/remove-images.ts";
import { commit, label, list, mounts, prepare, remove, stat, usage, view } from "../../service/snapshots.ts";
import { status } from "../../service/status.ts";
import { unpack } from "../../service/unpack.ts";

export const operations = {
  stat,
  usage,
  mounts,
  mountPoints,
  prepare,
  view,
  commit,
  remove,
  removeCompletely,
  label,
  unpack,
  planUnpack,
  listImages: images,
  removeImages,
  pruneImages,
  pinImages,
  unpinImages,
  listBatches: batches,
  batch,
  submitBatch,
  cancelBatch,
  retryBatch,
  removeBatch,
  status,
  listHosts,
  poolStatus,
  growPool,
  doctor,
  cleanup,
  retryRemovals,
  discardRemovals,
};

/** These yield their items, page by page. */
export const lists = { listSnapshots: list, listBatchItems: batchItems, listRemovals: removals };
