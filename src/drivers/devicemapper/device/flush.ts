// Room: drivers. Owns the flush of a thin device, in the cheapest safe way, and the check that no write was lost.
import { resourceExhausted } from "../../../domain/errors.ts";
import type { DeviceName } from "../../../domain/identifiers.ts";
import { isErrno } from "../../../system/ffi/errno.ts";
import { syncUnlessHeld } from "../../../system/file/durable.ts";
import { hasRecordedErrors } from "../../../system/mount/filesystems.ts";
import type { DmControl } from "../control/control.ts";
import { devicePath } from "../control/names.ts";
import { requireWritable } from "../pool/free-space.ts";
import type { ThinPool } from "../pool/thin-pool.ts";
import type { Activations } from "./activations.ts";

export interface FlushParts {
  readonly control: DmControl;
  readonly pool: ThinPool;
  readonly activations: Activations;
}

/** See `Driver.flush`. */
export async function flushDevice(parts: FlushParts, device: DeviceName): Promise<void> {
  const { control, pool, activations } = parts;
  if (!activations.isActive(device) || activations.isSuspended(device)) {
    // All of it is in the pool; a status with flush makes the pool commit the rest.
    await control.status(pool.deviceName, { flush: true });
    return requireWritable(pool.definition, await pool.status(), `device ${device}`);
  }
  const [written] = await Promise.allSettled([writeOut(activations, device)]);
  // A full pool's refusal may already have been reported, once, to the writer; so the pool's mode is checked too.
  requireWritable(pool.definition, await pool.status(), `device ${device}`);
  if (written.status === "rejected") throw written.reason;
  if (await hasRecordedErrors(devicePath(device))) throw writesFailed(device);
}

/** Of what was written to a device and is in the pool by now. */
export async function requireNothingLost({ pool, activations }: FlushParts, device: DeviceName): Promise<void> {
  requireWritable(pool.definition, await pool.status(), `device ${device}`);
  if (activations.isActive(device) && (await hasRecordedErrors(devicePath(device)))) throw writesFailed(device);
}

function writesFailed(device: DeviceName, cause?: unknown) {
  const wayOut = "remove its snapshot and make it anew";
  return resourceExhausted(
    `device ${device}: writes failed, since the pool was full or its disk faulty; ${wayOut}`,
    cause,
  );
}

/** A mounted device must be suspended, which freezes its file system; for one that is not in use, fsync is enough. */
async function writeOut(activations: Activations, device: DeviceName): Promise<void> {
  let isSynced: boolean;
  try {
    isSynced = await syncUnlessHeld(devicePath(device));
  } catch (error) {
    // Also for writes that failed earlier: by now there may be space again.
    throw isErrno(error, "EIO", "ENOSPC") ? writesFailed(device, error) : error;
  }
  if (!isSynced) await activations.whileSuspended(device, () => Promise.resolve());
}
