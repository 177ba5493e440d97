// Room: snapshotter. Owns hold-queue and release-queue: whether unpacks are executed. The pool's worker tells Redis.
import type { RequestOf, Result } from "../jobs/contract.ts";
import { dropUnpackHold, putUnpackHold, unpackHold } from "../metadata/queue-holds.ts";
import type { Context } from "./context.ts";
import type { MetadataSteps } from "./operations.ts";

/** Of two holds of a kind the first counts, and being drained includes being paused. */
export const holdQueue = (
  { database }: Context,
  { handOver, ...asked }: RequestOf<"hold-queue">,
): MetadataSteps<Result<"hold-queue">> => ({
  kind: "metadata",
  apply() {
    const before = unpackHold(database);
    const stays = before !== undefined && (before.kind === asked.kind || before.kind === "drained");
    const hold = stays ? before : { ...asked, sinceMs: Date.now(), handOverAtMs: null };
    const handOverAtMs = handOver ? (hold.handOverAtMs ?? Date.now()) : hold.handOverAtMs;
    putUnpackHold(database, { ...hold, handOverAtMs });
    return { ...hold, handOverAtMs };
  },
});

export const releaseQueue = ({ database }: Context): MetadataSteps<Result<"release-queue">> => ({
  kind: "metadata",
  apply() {
    const hold = unpackHold(database) ?? null;
    dropUnpackHold(database);
    return { hold };
  },
});
