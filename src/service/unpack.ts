// Room: service. Owns the unpacking of an image, and its cancellation.
import { z } from "zod";
import { AbortReason, Canceller } from "../domain/cancellation.ts";
import { freshOperationId, type OperationId } from "../domain/identifiers.ts";
import { startTimer, type Timer } from "../domain/timers.ts";
import { jobs, type UnpackProgress } from "../jobs/contract.ts";
import type { JobClient } from "../jobs/requests/client.ts";
import { operation } from "./operation.ts";
import type { CallOptions, Changes, PoolService } from "./service.ts";

type Unpacks = Changes & Pick<PoolService, "client">;

export type LayerProgress = UnpackProgress["layers"][number];
export type UnpackedImage = z.output<typeof unpack.output>;

export interface UnpackOptions extends Pick<CallOptions, "operationId" | "signal"> {
  /** Bottom layer first. */
  readonly onProgress?: ((layers: readonly LayerProgress[]) => void) | undefined;
}

/**
 * Unpacks an image. Once accepted, it continues even if this process dies. `signal` cancels it; the wait then ends
 * within 15 seconds.
 */
export const unpack = operation(
  {
    input: jobs.unpack.payload.omit({ pool: true, operationId: true }),
    output: jobs.unpack.result,
    recovery: "journaled",
  },
  async (service: Unpacks, request, { operationId = freshOperationId(), signal, onProgress }: UnpackOptions = {}) => {
    const client = await service.client(signal);
    using cancellation = cancelOnAbort(service, client, operationId, signal);
    const tell = onProgress && (({ layers }: UnpackProgress) => onProgress(layers));
    return await client.unpack(request, { operationId, signal: cancellation.patience, onProgress: tell });
  },
);

/** How long to wait for the end of a cancelled unpack, whose worker removes what it has made. */
const patienceMs = 15_000;

/** Cancels an accepted unpack, or one that is still being accepted: it ends as soon as it can, and is not resumed. */
export const cancelUnpack = operation(
  {
    input: z.object({ operationId: jobs["settle-unpack"].payload.shape.unpackOperationId }),
    output: jobs["settle-unpack"].result,
    recovery: "journaled",
  },
  (service: Changes, { operationId }, options?: CallOptions) =>
    service.change("settle-unpack", { unpackOperationId: operationId, outcome: { kind: "cancelled" } }, options),
);

/**
 * An accepted unpack would continue without its caller: `signal` cancels it, and aborts `patience` some time later, or at
 * once when no worker has begun it.
 */
function cancelOnAbort(service: Unpacks, client: JobClient, operationId: OperationId, signal: AbortSignal | undefined) {
  const giveUp = new Canceller();
  const endWaiting = () =>
    giveUp.cancel(new AbortReason("deadline", `the cancelled unpack did not end within ${patienceMs} ms`));
  let timer: Timer | undefined;
  const cancel = async () => {
    timer = startTimer(patienceMs, endWaiting);
    await cancelUnpack(service, { operationId }, { deadlineMs: patienceMs });
    const isOut = await client.withdrawUnpack(operationId);
    if (isOut) giveUp.cancel(new AbortReason("cancelled", "the unpack was cancelled before it began"));
  };
  const begin = () => void cancel().catch(endWaiting);
  signal?.addEventListener("abort", begin, { once: true });
  return {
    patience: giveUp.signal,
    [Symbol.dispose]: () => {
      signal?.removeEventListener("abort", begin);
      timer?.[Symbol.dispose]();
    },
  };
}
