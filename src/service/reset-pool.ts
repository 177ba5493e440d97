// Room: service. Owns the reset of a pool, which removes everything in it.
import { z } from "zod";
import { Canceller } from "../domain/cancellation.ts";
import { jobs, type Result } from "../jobs/contract.ts";
import { listDevices } from "../metadata/devices.ts";
import { listImages } from "../metadata/images.ts";
import { countSnapshotsByKind } from "../metadata/snapshots.ts";
import { operation } from "./operation.ts";
import { takePoolTurn } from "./pool-turn.ts";
import type { Asked, PoolService } from "./service.ts";
import { readStore } from "./store.ts";

const contents = z.object({ snapshots: z.number(), images: z.number(), devices: z.number() });

/** Counts what `resetPool` would remove. */
export const poolContents = operation({ input: z.object({}), output: contents }, ({ config }: PoolService) =>
  readStore(config, (database) => ({
    snapshots: Object.values(countSnapshotsByKind(database)).reduce((sum, count) => sum + count, 0),
    images: listImages(database).length,
    devices: listDevices(database).length,
  })),
);

/** Taking down a device takes a moment, and there may be thousands. */
const deadlineMs = 30 * 60_000;

/** Removes every snapshot, image and device. Throws `failed_precondition` while a device is in use. */
export const resetPool = operation(
  { input: z.object({}), output: jobs["reset-pool"].result, recovery: "journaled" },
  (service: PoolService, _given, { operationId, signal = new Canceller().signal }: Asked = {}) =>
    takePoolTurn<Result<"reset-pool">>(service, {
      byWorker: (client) => client.call("reset-pool", {}, { deadlineMs, operationId, signal }),
      byProcess: async () => {
        const { resetStopped } = await import("../supervisor/stopped-pool.ts");
        return await resetStopped(service.config, signal);
      },
      signal,
    }),
);
