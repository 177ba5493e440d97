// Room: snapshotter. Owns grow-pool: the pool gets larger between two other operations.
import type { OperationId } from "../domain/identifiers.ts";
import type { GrowRequest } from "../drivers/port.ts";
import type { Context } from "./context.ts";
import { type EffectOperation, failure, type Settlement, success } from "./operations.ts";

/** Sizes of the pool after it has grown. */
export interface GrownPool {
  readonly dataBytes: number;
  readonly metadataBytes: number;
}

/** In the lane, since no device can be activated while its pool is suspended. */
export function growPool(context: Context, operationId: OperationId, request: GrowRequest): EffectOperation<GrownPool> {
  return {
    kind: "effect",
    request: { operationId, job: "grow-pool", payload: request },
    intend: () => () => grow(context, request),
  };
}

async function grow({ driver }: Context, request: GrowRequest): Promise<Settlement<GrownPool>> {
  try {
    await driver.grow(request);
    const { totalBytes, metadata } = await driver.poolUsage();
    return success(() => ({ dataBytes: totalBytes, metadataBytes: metadata?.totalBytes ?? 0 }));
  } catch (error) {
    return failure(error);
  }
}
