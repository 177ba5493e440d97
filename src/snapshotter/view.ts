// Room: snapshotter. Owns view: a snapshot of a committed one to be mounted read-only, on a device of its own, since
// a file system that was not unmounted cleanly replays its journal even then.
import type { OperationId } from "../domain/identifiers.ts";
import type { Context } from "./context.ts";
import { type CreateRequest, createSnapshot } from "./create.ts";

export const view = (context: Context, operationId: OperationId, request: CreateRequest) =>
  createSnapshot(context, operationId, "view", request);
