// Room: snapshotter. Owns reset-pool: it removes every snapshot and device.
import { failedPrecondition } from "../domain/errors.ts";
import { describeUse } from "../domain/holders.ts";
import type { Result } from "../jobs/contract.ts";
import { listDevices } from "../metadata/devices.ts";
import { forgetAllImages } from "../metadata/images.ts";
import type { Context } from "./context.ts";
import { removeDevices } from "./device-removal.ts";
import { lookForLoss } from "./lost-pool.ts";
import { type EffectSteps, failure, type Settlement, success } from "./operations.ts";
import { requireNoPins } from "./pin-images.ts";

type ResetResult = Result<"reset-pool">;

/** Removes nothing while a device is in use or an image is pinned: failed_precondition names it. */
export const resetPool = (context: Context): EffectSteps<ResetResult> => ({
  kind: "effect",
  intend: () => () => removeEverything(context),
});

async function removeEverything(context: Context): Promise<Settlement<ResetResult>> {
  const { database, driver } = context;
  try {
    // Nothing is left to be kept of a pool that is lost.
    if ((await lookForLoss(context)) === undefined) requireNoPins(database);
    const devices = listDevices(database);
    for (const device of devices) {
      if (await driver.isBusy(device)) {
        const use = describeUse(await driver.holders(device));
        throw failedPrecondition(`the pool cannot be reset: device ${device.deviceName} is ${use}`);
      }
    }
    const { removedDevices, left } = await removeDevices(context, devices);
    if (left.length > 0) throw failedPrecondition(`the pool was only reset in part: ${left.join("; ")}`);
    return success(() => {
      forgetAllImages(database);
      return { removedDevices };
    });
  } catch (error) {
    return failure(error);
  }
}
