// Room: api. Owns Usage: what a snapshot holds of its own.
import { snapshotKey } from "../../domain/identifiers.ts";
import { readConsistently } from "../../metadata/database.ts";
import { deviceUnder, findSnapshot, ownUsage, storedUsage } from "../../metadata/snapshots.ts";
import type { Calls, Context } from "./context.ts";

export const usage =
  ({ scope, database, usedBytes }: Context): Calls["usage"] =>
  async (request) => {
    const key = snapshotKey(request.key);
    const stored = storedUsage(database(), scope, key);
    if (stored !== undefined) return usageMessage(stored);
    const { snapshot, device } = readConsistently(database(), () => {
      const found = findSnapshot(database(), scope, key);
      return { snapshot: found, device: deviceUnder(database(), found) };
    });
    const mappedBytes = snapshot.usedBytes ?? (await usedBytes(device));
    return usageMessage(ownUsage(database(), snapshot, mappedBytes));
  };

const usageMessage = ({ sizeBytes, inodes }: { readonly sizeBytes: number; readonly inodes: number }) => ({
  size: BigInt(sizeBytes),
  inodes: BigInt(inodes),
});
