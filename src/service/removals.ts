// Room: service. Owns the operations on pending removals.
import { z } from "zod";
import { jobs } from "../jobs/contract.ts";
import { pendingRemovals } from "../metadata/pending-removals.ts";
import { operation } from "./operation.ts";

/** Takes half a minute at most, but may have to wait for its turn. */
const deadlineMs = 10 * 60_000;

/**
 * Removes what removals and interrupted unpacks have left behind. Retries removals of devices that were given up, and
 * operations that were set aside.
 */
export const cleanup = operation({ input: z.object({}), output: jobs.cleanup.result }, (service, given, options) =>
  service.change("cleanup", given, { deadlineMs, ...options }),
);

const removal = z.object({ operationId: z.string(), device: z.string(), createdAtMs: z.number() });

/** Devices that are not removed yet although their snapshots are, oldest first. */
export const removals = operation({ input: z.object({}), output: z.array(removal) }, ({ database }) =>
  pendingRemovals(database()),
);
