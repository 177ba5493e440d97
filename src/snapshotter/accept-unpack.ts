// Room: snapshotter. Owns accept-unpack: unpacks are written down before they are queued.
import { failedPrecondition, invalidArgument } from "../domain/errors.ts";
import type { OperationId } from "../domain/identifiers.ts";
import type { RegistryOptions } from "../domain/registry-options.ts";
import { type Addition, addToOutbox } from "../metadata/outbox.ts";
import type { Context } from "./context.ts";
import type { MetadataOperation } from "./operations.ts";

export interface AcceptUnpackRequest {
  readonly requests: readonly UnpackRequest[];
}

export interface UnpackRequest {
  readonly operationId: OperationId;
  readonly reference: string;
  readonly platform: string;
  readonly registry?: RegistryOptions | undefined;
}

/**
 * Accepts all of the requests, or none: one that its caller has cancelled is refused with failed_precondition, one whose
 * operation ID stands for another unpack with invalid_argument.
 */
export function acceptUnpack(
  { database, pool }: Context,
  operationId: OperationId,
  { requests }: AcceptUnpackRequest,
): MetadataOperation<object> {
  return {
    kind: "metadata",
    request: { operationId, job: "accept-unpack", payload: { requests } },
    apply() {
      for (const request of requests) {
        const entry = { operationId: request.operationId, job: "unpack", payload: { pool, ...request } };
        requireWritten(addToOutbox(database, entry), request);
      }
      return {};
    },
  };
}

function requireWritten(addition: Addition, { operationId, reference }: UnpackRequest): void {
  switch (addition) {
    case "written":
      return;
    case "cancelled":
      throw failedPrecondition(`image ${reference}: cancelled by its caller`);
    case "other":
      throw invalidArgument(
        `operation ID ${operationId} was used for another unpack: use a new one for another operation`,
      );
  }
}
