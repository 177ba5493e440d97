// Room: service. Owns what operations act on that are no single pool's: everything that one `up` serves.
import { z } from "zod";
import { type PoolName, poolName } from "../domain/identifiers.ts";
import { parsing } from "../domain/parsing.ts";
import type { Audited } from "./audit.ts";
import { listOperation } from "./operation.ts";
import type { OperationTracker } from "./operation-tracker.ts";
import type { PoolService } from "./service.ts";

/** One `up`. */
export interface Host extends Audited {
  readonly pools: ReadonlyMap<PoolName, PoolService>;
  /** What its callers have begun. */
  readonly operations: OperationTracker;
}

const pool = z.object({ name: z.string().transform(parsing(poolName)) });

/** The pools that this `up` serves, by name. */
export const listPools = listOperation(
  { input: z.object({ after: z.string().optional() }), output: pool, placeOf: ({ name }) => name },
  ({ pools }: Host, { after = "" }) => [
    [...pools.keys()]
      .sort()
      .filter((name) => name > after)
      .map((name) => ({ name })),
  ],
);
