// Room: service. Owns what takes the space of a pool, as it is asked for: images, what they share, and what nothing claims.
import { z } from "zod";
import { paths } from "../config.ts";
import { poolUsageOf, recordedDriver } from "../drivers/open.ts";
import { readPool } from "../metadata/pool.ts";
import { readSpaceUse, type SpaceUse } from "../metadata/space-use.ts";
import { operation } from "./operation.ts";
import type { PoolService } from "./service.ts";

const bytes = z.number();

const shape = z.object({
  /** Of the pool's data; null: it is not attached. */
  usedBytes: bytes.nullable(),
  totalBytes: bytes.nullable(),
  /** The largest first. */
  images: z.array(
    z.object({
      /** None: it is dangling. */
      names: z.array(z.string()),
      manifestDigest: z.string(),
      platform: z.string(),
      /** The committed snapshot that shows all of it. */
      snapshot: z.string(),
      /** What its removal would free. */
      exclusiveBytes: bytes,
    }),
  ),
  /** Layers that several images use, or an image and another snapshot. */
  sharedBytes: bytes,
  /** Committed snapshots that no image uses, but something else does. */
  otherBytes: bytes,
  /** Layers that nothing uses: the next prune removes them. */
  unclaimedBytes: bytes,
  /** Devices that wait for their removal, as far as they were measured. */
  removalBytes: bytes,
  /** All else in use: writable snapshots, templates, the file systems' own blocks. Null: the pool is not attached. */
  restBytes: bytes.nullable(),
});
export type Space = z.output<typeof shape>;

/** What takes the pool's space, as measured at commits. No device is asked, and no job is needed. */
export const space = operation(
  { input: z.object({}), output: shape },
  async ({ config, database }: Pick<PoolService, "config" | "database">): Promise<Space> => {
    const driver = readPool(database())?.driver;
    const attached =
      driver === undefined
        ? undefined
        : await poolUsageOf(recordedDriver(driver), paths.poolDir(config), config.dmControl);
    const { images, ...found } = readSpaceUse(database());
    const known = measured(found) + images.reduce((sum, { exclusiveBytes }) => sum + exclusiveBytes, 0);
    return {
      usedBytes: attached?.usedBytes ?? null,
      totalBytes: attached?.totalBytes ?? null,
      images: images.map(({ image, exclusiveBytes }) => ({
        names: image.names.map(({ reference }) => reference),
        manifestDigest: image.manifestDigest,
        platform: image.platform,
        snapshot: image.chainId,
        exclusiveBytes,
      })),
      ...found,
      restBytes: attached === undefined ? null : Math.max(0, attached.usedBytes - known),
    };
  },
);

const measured = ({ sharedBytes, otherBytes, unclaimedBytes, removalBytes }: Omit<SpaceUse, "images">): number =>
  sharedBytes + otherBytes + unclaimedBytes + removalBytes;
