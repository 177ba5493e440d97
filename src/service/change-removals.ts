// Room: service. Owns the operations that say whether removals of devices are tried: of the set that was confirmed, or none.
import { z } from "zod";
import { failedPrecondition } from "../domain/errors.ts";
import type { DeviceName } from "../domain/identifiers.ts";
import { jobs } from "../jobs/contract.ts";
import { operation } from "./operation.ts";
import { partOf } from "./part-of.ts";
import { type RemovalSelection, removalSelection, selectedRemovals, setOf } from "./removal-filter.ts";
import type { CallOptions, Service } from "./service.ts";

const changed = jobs["retry-removals"].result.extend({
  /** Of a dry run: the hash of these devices, for `ifSet`. */
  set: z.string().optional(),
});

/** How many removals one job of the pool's worker changes. */
const perOperation = 1000;

type Changed = Pick<Service, "database" | "devicePath" | "change">;

/**
 * Has removals tried at once, from the start, also those that were given up or discarded. With `isDryRun`, only tells
 * which. Throws not_found if a name is of no removal, failed_precondition if others than those of `ifSet` match.
 */
export const retryRemovals = operation(
  { input: removalSelection.extend({ isDryRun: z.boolean().optional() }), output: changed, recovery: "repeated" },
  (service: Changed, { isDryRun, ...given }, options?: CallOptions) =>
    changeRemovals(service, given, isDryRun === true, (devices) =>
      service.change("retry-removals", { devices: [...devices] }, partOf(options, devices)),
    ),
);

/**
 * Has removals not tried any more, not even by the next start. Their devices stay in the pool and take its space; doctor
 * and the list of removals show them until they are retried.
 */
export const discardRemovals = operation(
  {
    input: removalSelection.extend({
      reason: jobs["discard-removals"].payload.shape.reason,
      isDryRun: z.boolean().optional(),
    }),
    output: changed,
    recovery: "repeated",
  },
  (service: Changed, { isDryRun, reason, ...given }, options?: CallOptions) =>
    changeRemovals(service, given, isDryRun === true, (devices) =>
      service.change("discard-removals", { devices: [...devices], reason }, partOf(options, devices)),
    ),
);

/** The jobs name the devices, so that what comes into the set after the comparison is not changed either. */
async function changeRemovals(
  service: Changed,
  given: RemovalSelection,
  isDryRun: boolean,
  change: (devices: readonly DeviceName[]) => Promise<{ readonly devices: readonly DeviceName[] }>,
): Promise<z.output<typeof changed>> {
  const meant = await selectedRemovals(service, given);
  const set = setOf(meant);
  if (given.ifSet !== undefined && given.ifSet !== set) {
    const now = meant.length === 1 ? "1 removal matches" : `${meant.length} removals match`;
    throw failedPrecondition(
      `nothing was changed: others match than those that were confirmed, ${now} now; look at them, and confirm again`,
    );
  }
  if (isDryRun) return { devices: meant, set };
  const done: DeviceName[] = [];
  for (let start = 0; start < meant.length; start += perOperation) {
    done.push(...(await change(meant.slice(start, start + perOperation))).devices);
  }
  return { devices: done };
}
