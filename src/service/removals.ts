// Room: service. Owns the operations on what removals have left to be done later.
import { z } from "zod";
import { jobs } from "../jobs/contract.ts";
import { pendingRemovals } from "../metadata/pending-removals.ts";
import { operation } from "./operation.ts";

/** It takes half a minute at most, and may have to wait for its turn. */
const deadlineMs = 10 * 60_000;

/**
 * Removes now what removals and dead unpacks have left behind. Removals of devices that were given up, and operations
 * that were set aside, are tried again.
 */
export const cleanup = operation({ input: z.object({}), output: jobs.cleanup.result }, (service, given, options) =>
  service.change("cleanup", given, { deadlineMs, ...options }),
);

const removal = z.object({ operationId: z.string(), device: z.string(), createdAtMs: z.number() });

/** Devices whose snapshots are gone and that are still to be removed, the oldest first. */
export const removals = operation({ input: z.object({}), output: z.array(removal) }, ({ database }) =>
  pendingRemovals(database()),
);
