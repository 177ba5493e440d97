// Room: snapshotter. Owns doctor: says what is not in order in the pool, and repairs what can be repaired safely.
import { compareLooks, unrepaired } from "../domain/findings.ts";
import type { OperationId } from "../domain/identifiers.ts";
import type { RequestOf, Result } from "../jobs/contract.ts";
import { transact } from "../metadata/database.ts";
import { freeIdsInUse, takeFromFree } from "../metadata/inspection.ts";
import { dropFromOutbox } from "../metadata/outbox.ts";
import { finishRemovals, sweepDeadUnpacks } from "./cleanup.ts";
import type { Context } from "./context.ts";
import { damagedEntries, inspect } from "./inspect.ts";
import { type EffectSteps, failure, type Settlement, success } from "./operations.ts";
import { reconcile } from "./reconcile.ts";

/** Between two operations, so that nothing is half-way but what nobody will finish. */
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
  { repair }: RequestOf<"doctor">,
  operationId: OperationId,
): Promise<Settlement<Result<"doctor">>> {
  try {
    const scene = { ...context, inService: true };
    const before = await inspect(scene, operationId);
    if (!repair) return success(() => ({ findings: unrepaired(before) }));
    try {
      await mend(context);
    } catch (error) {
      // A pool that takes no changes was found to be such, and stays as it is.
      if (!before.some(({ kind }) => kind === "pool-state")) throw error;
    }
    const after = await inspect(scene, operationId);
    return success(() => ({ findings: compareLooks(before, after) }));
  } catch (error) {
    return failure(error);
  }
}

/** What is safe: nothing that a snapshot shows is touched, and nothing that may be somebody else's. */
async function mend(context: Context): Promise<void> {
  const { database } = context;
  transact(database, () => {
    for (const deviceId of freeIdsInUse(database)) takeFromFree(database, deviceId);
    for (const { operationId } of damagedEntries(database)) dropFromOutbox(database, operationId);
  });
  await reconcile(context);
  await finishRemovals(context);
  await sweepDeadUnpacks(context);
}
