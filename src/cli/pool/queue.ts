// Room: cli. Owns the batches of another host's pool, within reach through a Redis that both hosts share.
import type { Config } from "../../config.ts";
import { batchLimits } from "../../domain/batches.ts";
import { cancelBatch, readBatch, removeBatch, retryBatch, submitBatch } from "../../service/batches.ts";
import { type RemoteService, reachPool } from "../../service/remote-service.ts";
import { notice } from "../output/output.ts";
import { factsOf, poolOf } from "./local.ts";
import type { BatchPool } from "./pool.ts";

/** The configured pool, or its batches alone where it is another host's. Throws what `reachPool` throws. */
export async function reachBatches(config: Config): Promise<BatchPool> {
  const reached = await reachPool(config, notice);
  return "database" in reached ? poolOf(reached) : queuedBatches(reached);
}

const queuedBatches = (service: RemoteService): BatchPool => ({
  ...factsOf(service),
  serving: () => Promise.resolve("lasting"),
  submitBatch: (given, options) => submitBatch(service, given, options),
  cancelBatch: (given, options) => cancelBatch(service, given, options),
  retryBatch: (given, options) => retryBatch(service, given, options),
  removeBatch: (given, options) => removeBatch(service, given, options),
  batch: async ({ batch }, options) => (await readBatch(service, { batch, limit: 1 }, options)).batch,
  listBatchItems: async function* ({ batch, states }) {
    const limit = batchLimits.pageItems;
    for (let after: number | undefined; ; ) {
      const { items } = await readBatch(service, { batch, states, after, limit });
      yield* items;
      if (items.length < limit) return;
      after = items.at(-1)?.position;
    }
  },
});
