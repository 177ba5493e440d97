// Room: snapshotter. Owns prepare: a writable snapshot of a committed one, or an empty base.
import type { OperationId } from "../domain/identifiers.ts";
import type { Context } from "./context.ts";
import { type CreateRequest, createSnapshot } from "./create.ts";

export const prepare = (context: Context, operationId: OperationId, request: CreateRequest) =>
  createSnapshot(context, operationId, "active", request);
