// Room: snapshotter. Owns the commit of copies: what an active snapshot held at earlier moments, copied by whoever has it mounted.
import { alreadyExists, failedPrecondition } from "../domain/errors.ts";
import type { OperationId } from "../domain/identifiers.ts";
import { checkLabels } from "../domain/snapshots.ts";
import type { RequestOf } from "../jobs/contract.ts";
import { type DeviceRecord, insertDevice } from "../metadata/devices.ts";
import { type Copied, type Origin, recordCopies } from "./checkpoint.ts";
import { activeToCommit } from "./commit.ts";
import type { Context } from "./context.ts";
import { recordTakenBack, takeBack } from "./device-removal.ts";
import { type EffectSteps, failure, type Settlement, success } from "./operations.ts";

type Copy = RequestOf<"commit-copies">["copies"][number];
type Intended = Copy & { readonly device: DeviceRecord };

/** Checks each name as commit does. All of the copies are committed, or none. */
export function commitCopies(
  context: Context,
  { scope, key, copies, keyLabels }: RequestOf<"commit-copies">,
  operationId: OperationId,
): EffectSteps<object> {
  const { database, driver } = context;
  return {
    kind: "effect",
    intend() {
      const { adopt } = driver;
      const [first] = copies;
      if (adopt === undefined || first === undefined) {
        throw failedPrecondition(`the ${driver.name} driver commits no copies: take checkpoints`);
      }
      checkLabels(keyLabels ?? {});
      const { snapshot, device } = activeToCommit(context, { scope, key, ...first });
      for (const copy of copies.slice(1)) activeToCommit(context, { scope, key, ...copy });
      if (new Set(copies.map(({ name }) => name)).size < copies.length) {
        throw alreadyExists("two of the copies are to have the same name");
      }
      const { fsType, sizeBytes } = device;
      const intended = copies.map((copy) => ({
        ...copy,
        device: insertDevice(database, { fsType, sizeBytes, operationId }),
      }));
      return () => adoptNow(context, { snapshot, device, keyLabels }, intended);
    },
  };
}

async function adoptNow(context: Context, origin: Origin, copies: readonly Intended[]): Promise<Settlement<object>> {
  const { driver, reach } = context;
  reach("commit-copies.intended");
  const adopted: Copied[] = [];
  try {
    await driver.adopt?.(origin.device, copies);
    reach("commit-copies.adopted");
    for (const { name, labels, device: copy } of copies) {
      adopted.push({ name, labels, copy, usedBytes: await driver.usedBytes(copy) });
    }
  } catch (error) {
    // Nothing of the active snapshot has changed.
    const gone: boolean[] = [];
    for (const { device } of copies) gone.push(await takeBack(context, device));
    return failure(error, () => {
      for (const [index, { device }] of copies.entries()) recordTakenBack(context, device, gone[index] === true);
    });
  }
  return success(() => recordCopies(context, origin, adopted));
}
