// Room: snapshotter. Owns cleanup and the sweep: they remove what earlier operations and dead unpacks have left behind.
import { choosesDevice, everything, type RepairChoice } from "../domain/repair-choice.ts";
import type { Result } from "../jobs/contract.ts";
import { transact } from "../metadata/database.ts";
import { listDevicesInState } from "../metadata/devices.ts";
import { hasAnswersBefore, pruneJournal } from "../metadata/journal.ts";
import { hasCancelledBefore, pruneCancelled } from "../metadata/outbox.ts";
import { isDiscarded } from "../metadata/pending-removals.ts";
import { deviceOf } from "../metadata/snapshots.ts";
import { hasStrikesBefore, pruneStrikes } from "../metadata/strikes.ts";
import { collectLayers, isCollectionDue } from "./collect-layers.ts";
import type { Context } from "./context.ts";
import { type Removal, removeDevices } from "./device-removal.ts";
import { deadUnpacks } from "./inspect.ts";
import { type EffectSteps, success } from "./operations.ts";
import { retireTemplates, staleTemplates } from "./template.ts";

/** A cleanup does part of the work when there is more: it must not hold up the operations behind it for long. */
const limits = { devices: 1000, removalsMs: 20_000, journalBatch: 500, journalBatches: 20 } as const;

/** For a week, a repeated operation gets its answer: longer than a queue keeps a job, or a caller retries. */
export const journalKeptMs = 7 * 24 * 60 * 60 * 1000;

/** Removes now the devices whose removals wait for their jobs, and sweeps. */
export const cleanup = (context: Context): EffectSteps<Result<"cleanup">> => ({
  kind: "effect",
  intend: () => async () => {
    context.forgive();
    const removed = await finishRemovals(context);
    const swept = await sweepDeadUnpacks(context);
    prune(context);
    return success(() =>
      withCollected(context, {
        removedDevices: removed.removedDevices + swept.removedDevices,
        removedSnapshots: removed.removedSnapshots + swept.removedSnapshots,
      }),
    );
  },
});

/** Whether a sweep would find anything to do. If not, none is run: it would leave an entry in the journal each time. */
export function isSweepDue(context: Context): boolean {
  const { database } = context;
  const beforeMs = Date.now() - journalKeptMs;
  return (
    deadUnpacks(context).length > 0 ||
    isCollectionDue(context) ||
    hasAnswersBefore(database, beforeMs) ||
    hasCancelledBefore(database, beforeMs) ||
    hasStrikesBefore(database, beforeMs) ||
    staleTemplates(context).length > 0
  );
}

/** Runs from time to time, without a job. It leaves removals alone: these have jobs, which retry by themselves. */
export const sweep = (context: Context): EffectSteps<Result<"cleanup">> => ({
  kind: "effect",
  intend: () => async () => {
    const swept = await sweepDeadUnpacks(context);
    retireTemplates(context, staleTemplates(context));
    prune(context);
    return success(() => withCollected(context, swept));
  },
});

/** Layers that removed images had and that something else still used may have become free; their devices have jobs. */
function withCollected(context: Context, { removedDevices, removedSnapshots }: Result<"cleanup">): Result<"cleanup"> {
  const { layers } = collectLayers(context, "removed images");
  return { removedDevices, removedSnapshots: removedSnapshots + layers.length };
}

/** Devices that it does not reach in time are left to their jobs. */
export function finishRemovals(context: Context, choice: RepairChoice = everything): Promise<Removal> {
  const { database } = context;
  // Those that were chosen may be any of them.
  const most = choice === everything ? limits.devices : Number.MAX_SAFE_INTEGER;
  const devices = listDevicesInState(database, ["removing", "removed"], most).filter(
    ({ deviceName }) => !isDiscarded(database, deviceName) && choosesDevice(choice, deviceName),
  );
  return removeDevices(context, devices.slice(0, limits.devices), { withinMs: limits.removalsMs });
}

/** Removes the active snapshots of unpacks whose process is gone. */
export async function sweepDeadUnpacks(context: Context, choice: RepairChoice = everything): Promise<Removal> {
  const dead = deadUnpacks(context).filter(({ key }) => choice({ kind: "dead-unpack", subject: key }));
  const devices = dead.map(({ scope, key }) => deviceOf(context.database, scope, key));
  return removeDevices(context, devices.slice(0, limits.devices));
}

function prune({ database }: Context): void {
  const beforeMs = Date.now() - journalKeptMs;
  transact(database, () => {
    pruneCancelled(database, beforeMs);
    pruneStrikes(database, beforeMs);
  });
  for (let batch = 0; batch < limits.journalBatches; batch += 1) {
    const pruned = transact(database, () => pruneJournal(database, beforeMs, limits.journalBatch));
    if (pruned < limits.journalBatch) return;
  }
}
