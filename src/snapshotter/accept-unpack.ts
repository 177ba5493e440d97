// Room: snapshotter. Owns accept-unpack: unpacks are written down before they are queued.
import { failedPrecondition, invalidArgument } from "../domain/errors.ts";
import { traceparent } from "../domain/work.ts";
import type { RequestOf } from "../jobs/contract.ts";
import { type Addition, addToOutbox } from "../metadata/outbox.ts";
import type { Context } from "./context.ts";
import type { MetadataSteps } from "./operations.ts";

type AcceptUnpackRequest = RequestOf<"accept-unpack">;

/**
 * Accepts all of the requests, or none: one that its caller has cancelled is refused with failed_precondition, one whose
 * operation ID stands for another unpack with invalid_argument.
 */
export const acceptUnpack = (
  { database, pool }: Context,
  { requests }: AcceptUnpackRequest,
): MetadataSteps<object> => ({
  kind: "metadata",
  apply() {
    for (const request of requests) {
      const payload = { pool, ...request };
      const entry = { operationId: request.operationId, job: "unpack", payload, traceparent: traceparent() };
      requireWritten(addToOutbox(database, entry), request);
    }
    return {};
  },
});

function requireWritten(addition: Addition, { operationId, reference }: AcceptUnpackRequest["requests"][number]): void {
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
