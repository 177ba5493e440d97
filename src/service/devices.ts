// Room: service. Owns what a device is to operators: its state, and the snapshots that show what is on it.
import { z } from "zod";
import { deviceStates } from "../domain/devices.ts";
import { notFound } from "../domain/errors.ts";
import { deviceNumber, parseDeviceName } from "../domain/identifiers.ts";
import { parsing } from "../domain/parsing.ts";
import { readConsistently } from "../metadata/database.ts";
import { findDevice } from "../metadata/devices.ts";
import { poolNameOf } from "../metadata/pool.ts";
import { snapshotsOn } from "../metadata/snapshots.ts";
import { operation } from "./operation.ts";
import type { Service } from "./service.ts";

const device = z.object({
  device: z.string(),
  state: z.enum(deviceStates),
  sizeBytes: z.number(),
  /** In all scopes: several may be on one device. */
  snapshots: z.array(z.object({ scope: z.string(), key: z.string() })),
});

/** A device by its name. Throws not_found for one that is not in the pool. */
export const getDevice = operation(
  { input: z.object({ device: z.string().transform(parsing(parseDeviceName)) }), output: device },
  (service: Pick<Service, "database">, given): z.output<typeof device> => {
    const database = service.database();
    return readConsistently(database, () => {
      const number = deviceNumber(poolNameOf(database), given.device);
      const found = number === undefined ? undefined : findDevice(database, number);
      if (found === undefined) throw notFound(`there is no device ${given.device} in this pool`);
      const snapshots = snapshotsOn(database, found.number).map(({ scope, key }) => ({ scope, key }));
      return { device: found.deviceName, state: found.state, sizeBytes: found.sizeBytes, snapshots };
    });
  },
);
