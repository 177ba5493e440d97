// Room: service. Owns the unpacking of one or several images, and its cancellation.
import { z } from "zod";
import { AbortReason, Canceller } from "../domain/cancellation.ts";
import { freshOperationId, type OperationId } from "../domain/identifiers.ts";
import { startTimer, type Timer } from "../domain/timers.ts";
import { jobs, type UnpackProgress, type UnpackRequest } from "../jobs/contract.ts";
import type { LocalService } from "./local-service.ts";
import { operation } from "./operation.ts";
import type { CallOptions, Service } from "./service.ts";

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
  { input: jobs.unpack.payload.omit({ pool: true, operationId: true }), output: jobs.unpack.result },
  async (
    service: LocalService,
    request,
    { operationId = freshOperationId(), signal, onProgress }: UnpackOptions = {},
  ) => {
    const client = await service.client(signal);
    using cancellation = cancelOnAbort(service, operationId, signal);
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
  },
  (service: Pick<Service, "change">, { operationId }, options?: CallOptions) =>
    service.change("settle-unpack", { unpackOperationId: operationId, outcome: { kind: "cancelled" } }, options),
);

/** An accepted unpack would continue without its caller: `signal` cancels it, and aborts `patience` some time later. */
function cancelOnAbort(service: LocalService, operationId: OperationId, signal: AbortSignal | undefined) {
  const giveUp = new Canceller();
  const endWaiting = () =>
    giveUp.cancel(new AbortReason("deadline", `the cancelled unpack did not end within ${patienceMs} ms`));
  let timer: Timer | undefined;
  const cancel = () => {
    timer = startTimer(patienceMs, endWaiting);
    cancelUnpack(service, { operationId }, { deadlineMs: patienceMs }).catch(endWaiting);
  };
  signal?.addEventListener("abort", cancel, { once: true });
  return {
    patience: giveUp.signal,
    [Symbol.dispose]: () => {
      signal?.removeEventListener("abort", cancel);
      timer?.[Symbol.dispose]();
    },
  };
}

export type UnpackOutcome =
  | { readonly state: "unpacked"; readonly image: UnpackedImage; readonly ms: number }
  | { readonly state: "failed"; readonly error: unknown };

/** Receives the progress of several unpacks, by the reference of each image. */
export interface UnpackReporter {
  begin(reference: string): void;
  update(reference: string, layers: readonly LayerProgress[]): void;
  /** A rejection ends all unpacks. */
  end(reference: string, outcome: UnpackOutcome): Promise<void>;
}

export interface EachOptions {
  readonly concurrency: number;
  readonly reporter: UnpackReporter;
  readonly signal: AbortSignal;
}

/**
 * Unpacks images independently and returns the number of failures. Throws the reason of `signal` once it is aborted.
 */
export async function unpackEach(
  service: LocalService,
  requests: readonly UnpackRequest[],
  { concurrency, reporter, signal }: EachOptions,
): Promise<number> {
  const waiting = requests.values();
  const outputFailure = new Canceller();
  const ended = AbortSignal.any([signal, outputFailure.signal]);
  let failures = 0;

  /** Takes images off the list until it is empty; several calls run at the same time. */
  async function work(): Promise<void> {
    for (const request of waiting) {
      if (ended.aborted) return;
      reporter.begin(request.reference);
      const outcome = await outcomeOf(service, request, reporter, ended);
      if (ended.aborted) return;
      if (outcome.state === "failed") failures += 1;
      await reporter.end(request.reference, outcome).catch((cause: unknown) => {
        outputFailure.cancel(new AbortReason("output", "the output cannot be written", { cause }));
      });
    }
  }
  await Promise.all(Array.from({ length: concurrency }, work));
  if (outputFailure.isCancelled) throw outputFailure.signal.reason.cause;
  signal.throwIfAborted();
  return failures;
}

async function outcomeOf(
  service: LocalService,
  request: UnpackRequest,
  reporter: UnpackReporter,
  signal: AbortSignal,
): Promise<UnpackOutcome> {
  const startedMs = performance.now();
  const onProgress = (layers: readonly LayerProgress[]) => reporter.update(request.reference, layers);
  try {
    const image = await unpack(service, request, { signal, onProgress });
    return { state: "unpacked", image, ms: performance.now() - startedMs };
  } catch (error) {
    return { state: "failed", error };
  }
}
