// Room: drivers. Owns what a thin-pool is made of: written down when it is made, read whenever it is loaded again.
import type { PoolName } from "../../../domain/identifiers.ts";

/** Where a pool's blocks lie. */
export type PoolStorage =
  | { readonly kind: "devices"; readonly dataDevice: string; readonly metadataDevice: string }
  /** Sparse files `data.img` and `metadata.img` in a directory, on loop devices. */
  | {
      readonly kind: "loopback";
      readonly directory: string;
      readonly dataBytes: number;
      readonly metadataBytes: number;
    };

/** The pool as `pool create` was told to make it: `<poolDir>/thin-pool.json`. */
export interface PoolDefinition {
  readonly pool: PoolName;
  readonly storage: PoolStorage;
  /** 128 to 2097152, in steps of 128. */
  readonly blockSectors: number;
  /** The kernel raises an event when fewer blocks than this are free. */
  readonly lowWaterBlocks: number;
  /** What a full pool does: fail the write at once (the default), or let it wait for room for a minute. */
  readonly whenFull: "error" | "queue";
}

/** The device-mapper name of a pool's thin-pool device; its thin devices are `<pool>-snap-<number>`. */
export const poolDeviceName = (pool: PoolName): string => `${pool}-pool`;
