// Room: snapshotter. Owns grow-pool: the pool gets larger between two other operations.
import type { RequestOf, Result } from "../jobs/contract.ts";
import type { Context } from "./context.ts";
import { type EffectSteps, failure, type Settlement, success } from "./operations.ts";

type GrowRequest = RequestOf<"grow-pool">;
type GrownPool = Result<"grow-pool">;

/** In the operation queue, since no device can be activated while its pool is suspended. */
export const growPool = (context: Context, request: GrowRequest): EffectSteps<GrownPool> => ({
  kind: "effect",
  intend: () => () => grow(context, request),
});

async function grow({ driver }: Context, request: GrowRequest): Promise<Settlement<GrownPool>> {
  try {
    await driver.grow(request);
    const { totalBytes, metadata } = await driver.poolUsage();
    return success(() => ({ dataBytes: totalBytes, metadataBytes: metadata?.totalBytes ?? 0 }));
  } catch (error) {
    return failure(error);
  }
}
