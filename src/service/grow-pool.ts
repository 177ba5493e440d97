// Room: service. Owns the growth of a thin-pool.

import { paths } from "../config.ts";
import { notFound } from "../domain/errors.ts";
import { readDefinition } from "../drivers/devicemapper/pool/definition.ts";
import { spaceInPool } from "../drivers/devicemapper/pool/geometry.ts";
import { loadThinPool } from "../drivers/devicemapper/pool/thin-pool.ts";
import { createDmControl } from "../drivers/open.ts";
import { jobs } from "../jobs/contract.ts";
import { findRunning } from "../supervisor/running.ts";
import { operation } from "./operation.ts";
import { lockPool } from "./pool-lock.ts";
import type { Asked, PoolService } from "./service.ts";

/**
 * Makes a thin-pool larger: one in files to the given sizes, one on devices to their full size. If a worker serves the
 * pool, it does this between other operations, and `signal` ends the wait; otherwise this process does it, to the end.
 */
export const growPool = operation(
  {
    input: jobs["grow-pool"].payload.pick({ dataBytes: true, metadataBytes: true }),
    output: jobs["grow-pool"].result,
    recovery: "journaled",
  },
  async (service: PoolService, sizes, { operationId, signal }: Asked = {}) => {
    const { config, notice } = service;
    const running = await findRunning(config);
    if (running?.pools.includes(config.pool) === true) {
      return await service.change("grow-pool", sizes, { operationId, signal });
    }
    const poolDir = paths.poolDir(config);
    const definition = await readDefinition(poolDir);
    if (definition === undefined) throw notFound(`there is no thin-pool ${config.pool} in ${config.stateDir}`);
    using _lock = lockPool(config);
    await using control = createDmControl(config.dmControl);
    const pool = await loadThinPool({ control, definition, poolDir, toGrow: true });
    try {
      await pool.grow(sizes);
      const { data, metadata } = spaceInPool(pool.definition, await pool.status());
      return { dataBytes: data.totalBytes, metadataBytes: metadata.totalBytes };
    } finally {
      // Leave a pool loaded that was loaded before: a killed process left it, or another state directory uses it.
      const obstacle = pool.wasLoaded ? undefined : await pool.close();
      if (obstacle !== undefined) notice(obstacle);
    }
  },
);
