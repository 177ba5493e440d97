// Room: snapshotter. Owns accept-unpack: unpacks are written down before they are queued.
import type { OperationId } from "../domain/identifiers.ts";
import type { RegistryOptions } from "../domain/registry-options.ts";
import { addToOutbox } from "../metadata/outbox.ts";
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
        addToOutbox(database, { operationId: request.operationId, job: "unpack", payload: { pool, ...request } });
      }
      return {};
    },
  };
}
