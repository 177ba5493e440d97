// Room: jobs. Owns whether an unpack must be accepted on the pool's host before it is waited for.
import { isRetryable } from "../../domain/errors.ts";
import type { RequestClient } from "./request-client.ts";
import type { Submission } from "./submissions.ts";

/** Whether the unpack must (again) be written down on the pool's host: not if it is under way, or has its answer. */
export async function needsAcceptance(unpacks: RequestClient, submission: Submission): Promise<boolean> {
  const kept = await unpacks.jobState(submission);
  switch (kept.state) {
    case "lost":
      return true;
    case "failed":
      if (!isRetryable(kept.failure.code)) return false;
      // Out of the way of the acceptance, which would take the kept failure for the answer.
      await unpacks.queue.remove(submission.operationId);
      return true;
    case "pending":
    case "completed":
      return false;
  }
}
