// Room: service. Owns the operation IDs of an operation's parts, where it is more than one job.
import { operationId } from "../domain/identifiers.ts";
import { payloadHash } from "../metadata/journal.ts";
import type { CallOptions } from "./service.ts";

/** `options` for the part that is about `what`: its ID is the same whenever the operation runs, and that of no other part. */
export function partOf(options: CallOptions | undefined, what: unknown): CallOptions | undefined {
  if (options?.operationId === undefined) return options;
  const hash = payloadHash([options.operationId, what]);
  return { ...options, operationId: operationId(`part-${hash.slice(0, 40)}`) };
}
