// Room: snapshotter. Owns doctor: it reports what is wrong in the pool, and repairs what can be repaired safely.
import { compareInspections, unrepaired } from "../domain/findings.ts";
import type { OperationId } from "../domain/identifiers.ts";
import { choiceOf, everything, type RepairChoice, repairablesIn } from "../domain/repair-choice.ts";
import type { RequestOf, Result } from "../jobs/contract.ts";
import { transact } from "../metadata/database.ts";
import { freeIdsInUse, takeFromFree } from "../metadata/devices.ts";
import { dropFromOutbox } from "../metadata/outbox.ts";
import { endItemOf } from "./batch-progress.ts";
import { finishRemovals, sweepDeadUnpacks } from "./cleanup.ts";
import type { Context } from "./context.ts";
import { damagedEntries, inspect } from "./inspect.ts";
import { type EffectSteps, failure, type Settlement, success } from "./operations.ts";
import { reconcile } from "./reconcile.ts";

/** It runs between two operations, so whatever is half-done then will not be finished by an operation. */
export const doctor = (
  context: Context,
  request: RequestOf<"doctor">,
  operationId: OperationId,
): EffectSteps<Result<"doctor">> => ({
  kind: "effect",
  intend: () => () => look(context, request, operationId),
});

async function look(
  context: Context,
  { repair, only }: RequestOf<"doctor">,
  operationId: OperationId,
): Promise<Settlement<Result<"doctor">>> {
  try {
    const inspection = { ...context, inService: true };
    const before = await inspect(inspection, operationId);
    const chosen = repairablesIn(before, only);
    if (!repair || (only !== undefined && chosen.length === 0)) {
      return success(() => ({ findings: unrepaired(before) }));
    }
    try {
      await repairSafely(context, only === undefined ? everything : choiceOf(chosen));
    } catch (error) {
      // A pool that accepts no changes cannot be repaired; the findings say so.
      if (!before.some(({ kind }) => kind === "pool-state")) throw error;
    }
    const after = await inspect(inspection, operationId);
    return success(() => ({ findings: compareInspections(before, after) }));
  } catch (error) {
    return failure(error);
  }
}

/** Repairs what is safe to repair: neither the content of a snapshot nor what another owner may have made is touched. */
async function repairSafely(context: Context, choice: RepairChoice): Promise<void> {
  const { database } = context;
  transact(database, () => {
    for (const deviceId of freeIdsInUse(database)) {
      if (choice({ kind: "free-id-in-use", subject: `ID ${deviceId}` })) takeFromFree(database, deviceId);
    }
    for (const { operationId } of damagedEntries(database)) {
      if (choice({ kind: "damaged-record", subject: operationId })) giveUpEntry(context, operationId);
    }
  });
  await reconcile(context, choice);
  await finishRemovals(context, choice);
  await sweepDeadUnpacks(context, choice);
}

/** An entry of the outbox that cannot be read: what it was for will not happen. */
function giveUpEntry(context: Context, damagedId: string): void {
  dropFromOutbox(context.database, damagedId);
  const message = "its entry in the outbox could not be read, and was given up by 'snapmill doctor --repair'";
  endItemOf(context, damagedId as OperationId, {
    kind: "failed",
    failure: { code: "internal", message, stage: "queue" },
  });
}
