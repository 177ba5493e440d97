// Room: snapshotter. Owns retry-removals and discard-removals: whether removals of devices are tried.
import type { RequestOf, Result } from "../jobs/contract.ts";
import { beginRemovalsAnew, discardRemovals as discard } from "../metadata/pending-removals.ts";
import type { Context } from "./context.ts";
import type { MetadataSteps } from "./operations.ts";

/** Answers which of the devices have a removal: others are done. */
export const retryRemovals = (
  { database }: Context,
  { devices }: RequestOf<"retry-removals">,
): MetadataSteps<Result<"retry-removals">> => ({
  kind: "metadata",
  apply: () => ({ devices: beginRemovalsAnew(database, devices) }),
});

export const discardRemovals = (
  { database }: Context,
  { devices, reason }: RequestOf<"discard-removals">,
): MetadataSteps<Result<"discard-removals">> => ({
  kind: "metadata",
  apply: () => ({ devices: discard(database, devices, reason) }),
});
