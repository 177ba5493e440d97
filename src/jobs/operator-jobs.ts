// Room: jobs. Owns the jobs by which operators change what is tried and executed: see contract.ts, of which they are a part.
import { z } from "zod";
import { parseDeviceName } from "../domain/identifiers.ts";
import { holdKinds } from "../domain/queues.ts";
import { atMost, branded, envelope } from "./schemas.ts";

/** How many removals of devices can be retried or discarded at once. */
const maxDevices = 1000;
const devices = atMost(maxDevices, branded(parseDeviceName));
const changed = z.object({ devices: z.array(branded(parseDeviceName)).readonly() });

/** Why an operator does something, kept with it. */
const reason = z.string().min(1).max(1000);

const hold = z.object({
  kind: z.enum(holdKinds),
  heldBy: z.string().min(1).max(300),
  reason,
});
const standingHold = hold.extend({ sinceMs: z.number(), handOverAtMs: z.number().nullable() });

export const operatorJobs = {
  /** Has removals of devices tried at once, from the start, also those that were given up or discarded. */
  "retry-removals": {
    worker: "pool",
    journal: "with pool",
    payload: z.object({ ...envelope, devices }),
    result: changed,
  },
  /** Has removals of devices not tried any more; the devices stay in the pool, and doctor reports them. */
  "discard-removals": {
    worker: "pool",
    journal: "with pool",
    payload: z.object({ ...envelope, devices, reason }),
    result: changed,
  },
  /**
   * Has unpacks kept and not executed, until release-queue: after restarts, and when Redis has lost everything.
   * `handOver`: those that run go back into the queue before their next layer. Answers the hold as it stands.
   */
  "hold-queue": {
    worker: "pool",
    journal: "with pool",
    payload: z.object({ ...envelope, ...hold.shape, handOver: z.boolean() }),
    result: standingHold,
  },
  /** Has unpacks executed again. Answers the hold that there was. */
  "release-queue": {
    worker: "pool",
    journal: "with pool",
    payload: z.object(envelope),
    result: z.object({ hold: standingHold.nullable() }),
  },
} as const;
