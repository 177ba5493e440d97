// Room: jobs. Owns the question how a job stands, and what a failed one's text means.
import { decodeFailure, internal, type SnapmillError } from "../../domain/errors.ts";
import type { OperationId } from "../../domain/identifiers.ts";
import { type JobQueue, maxStalls } from "../queues.ts";

/** How a job stands: `lost` is one that Redis does not know, or no longer. */
export type JobState =
  | { readonly state: "pending" | "lost" }
  | { readonly state: "completed"; readonly result: unknown }
  | { readonly state: "failed"; readonly failure: SnapmillError };

export async function jobState(queue: JobQueue, operationId: OperationId): Promise<JobState> {
  // BullMQ's answer: 0 not finished, 1 completed, 2 failed, -1 unknown; and the result or the failure's text.
  const answer = await queue.getBackend().isFinished(operationId, true);
  const [status, text] = Array.isArray(answer) ? answer : [answer, ""];
  if (status === 1) return { state: "completed", result: parsed(text) };
  if (status === 2) return { state: "failed", failure: failure(operationId, text) };
  return { state: status === 0 ? "pending" : "lost" };
}

/** A result as its worker wrote it; what is no JSON is no result of any job, and is refused where it is parsed as one. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function failure(operationId: OperationId, text: string): SnapmillError {
  // BullMQ's own words for a job that it gives up because it stalled more than maxStalledCount times.
  if (!text.startsWith("job stalled more than")) return decodeFailure(text);
  return internal(`${operationId} was given up: ${maxStalls} times its worker died or hung while it ran`);
}
