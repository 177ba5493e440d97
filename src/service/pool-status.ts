// Room: service. Owns the status of a thin-pool: how full it is, its mode, its owner, and what is wrong with it.
import { z } from "zod";
import { type Config, paths } from "../config.ts";
import { deviceStates } from "../domain/devices.ts";
import { failedPrecondition, notFound } from "../domain/errors.ts";
import { poolModes } from "../drivers/devicemapper/control/control.ts";
import { poolDefinition, readDefinition } from "../drivers/devicemapper/pool/definition.ts";
import { reportOnPool } from "../drivers/devicemapper/pool/status.ts";
import { createDmControl } from "../drivers/open.ts";
import { countDevicesByState } from "../metadata/devices.ts";
import { readPool } from "../metadata/pool.ts";
import { operation } from "./operation.ts";
import type { PoolService } from "./service.ts";
import { readStoreIfAny } from "./store.ts";

const fill = z.object({ usedBytes: z.number(), totalBytes: z.number() });

const shape = z.object({
  /** Its name in device-mapper. */
  deviceName: z.string(),
  isLoaded: z.boolean(),
  /** Null: the pool is not loaded. */
  mode: z.enum(poolModes).nullable(),
  needsCheck: z.boolean(),
  /** Why it cannot be used, and the way out; null: it can. */
  trouble: z.string().nullable(),
  data: fill,
  /** The kernel's reserve counts as used. */
  metadata: fill,
  transactionId: z.number(),
  /** Null: no database has claimed it. */
  owner: z.object({ owner: z.number(), takeOver: z.number() }).nullable(),
  definition: poolDefinition,
  /** The number of devices in each state in the database; null: there is no database yet. */
  devices: z.partialRecord(z.enum(deviceStates), z.number()).nullable(),
});
export type ThinPoolStatus = z.output<typeof shape>;

/** Asks the kernel; if the pool is not loaded, reads its metadata device. Changes nothing. */
export const poolStatus = operation(
  { input: z.object({}), output: shape },
  async ({ config }: PoolService): Promise<ThinPoolStatus> => {
    const definition = await readDefinition(paths.poolDir(config));
    if (definition === undefined) throw noThinPool(config);
    await using control = createDmControl(config.dmControl);
    return {
      ...(await reportOnPool(control, definition)),
      definition,
      devices: readStoreIfAny(config, countDevicesByState) ?? null,
    };
  },
);

function noThinPool(config: Config): Error {
  if (readStoreIfAny(config, readPool)?.driver === "reflink") {
    return failedPrecondition(`pool ${config.pool} uses the driver reflink: 'snapmill status' shows how full it is`);
  }
  return notFound(`there is no thin-pool ${config.pool} in ${config.stateDir}: create one with 'snapmill pool create'`);
}
