// Room: drivers. Owns the health of a thin-pool: its state, what is wrong with it, and how to repair it.
import { failedPrecondition, internal } from "../../../domain/errors.ts";
import type { PoolState } from "../../port.ts";
import type { DmControl, PoolStatus } from "../control/control.ts";
import { type PoolDefinition, poolDeviceName } from "./definition.ts";
import { metadataPathOf } from "./storage.ts";

/** Without a commit of metadata. Throws `internal` when the device is no pool at all. */
export async function readPoolStatus(control: DmControl, deviceName: string): Promise<PoolStatus> {
  const status = await control.status(deviceName);
  if (status.target === "thin-pool") return status;
  throw internal(`device ${deviceName} is a thin device, not a thin-pool`);
}

/** The commands that repair a pool whose metadata must be checked; thin_check needs the pool not to be loaded. */
export function repairCommands(definition: PoolDefinition): string {
  const metadata = metadataPathOf(definition.storage);
  return (
    `stop snapmill and the pool ('dmsetup remove ${poolDeviceName(definition.pool)}'), ` +
    `then 'thin_check --clear-needs-check-flag ${metadata}'; if that finds faults, ` +
    `'thin_repair -i ${metadata} -o COPY' (package thin-provisioning-tools), and COPY in its place`
  );
}

/** The state in one word: needs_check comes before the mode that the kernel has set because of it. */
export const stateOf = ({ mode, needsCheck }: PoolStatus): PoolState => (needsCheck ? "needs_check" : mode);

/** Why a pool cannot be used; undefined when it can. A full pool can be used, to remove from it. */
export function poolTrouble(definition: PoolDefinition, status: PoolStatus): string | undefined {
  const name = `pool ${definition.pool}`;
  if (status.mode === "failed") {
    return `${name} has failed: its metadata cannot be read or written (see dmesg); ${repairCommands(definition)}`;
  }
  if (status.needsCheck) {
    return `${name} is read-only until its metadata has been checked (needs_check); ${repairCommands(definition)}`;
  }
  if (status.mode === "ro") {
    const isFull = status.usedMetadataBlocks >= status.totalMetadataBlocks;
    return isFull
      ? `${name} is read-only: its metadata is full; 'snapmill pool grow ${definition.pool}' makes room`
      : `${name} is read-only; load it again (stop snapmill, 'dmsetup remove ${poolDeviceName(definition.pool)}')`;
  }
  return undefined;
}

/** Throws `failed_precondition` with the reason when the pool cannot be used. */
export function requireUsable(definition: PoolDefinition, status: PoolStatus): void {
  const trouble = poolTrouble(definition, status);
  if (trouble !== undefined) throw failedPrecondition(trouble);
}
