// Room: api. Owns Usage: what a snapshot holds of its own.
import { snapshotKey } from "../../domain/identifiers.ts";
import * as snapshots from "../../service/snapshots.ts";
import type { Calls, Context } from "./context.ts";

export const usage =
  ({ service, scope }: Context): Calls["usage"] =>
  async ({ key }) =>
    usageMessage(await snapshots.usage(service, { scope, key: snapshotKey(key) }));

const usageMessage = ({ sizeBytes, inodes }: { readonly sizeBytes: number; readonly inodes: number }) => ({
  size: BigInt(sizeBytes),
  inodes: BigInt(inodes),
});
