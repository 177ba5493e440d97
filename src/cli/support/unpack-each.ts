// Room: cli. Owns the unpacking of several images at the same time.
import { AbortReason, Canceller } from "../../domain/cancellation.ts";
import type { LayerProgress, UnpackedImage } from "../../service/unpack.ts";
import type { Pool } from "../pool/pool.ts";

type Unpacking = Pick<Pool, "unpack">;
type UnpackRequest = Parameters<Pool["unpack"]>[0] & { readonly reference: string };

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
  pool: Unpacking,
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
      const outcome = await outcomeOf(pool, request, reporter, ended);
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
  pool: Unpacking,
  request: UnpackRequest,
  reporter: UnpackReporter,
  signal: AbortSignal,
): Promise<UnpackOutcome> {
  const startedMs = performance.now();
  const onProgress = (layers: readonly LayerProgress[]) => reporter.update(request.reference, layers);
  try {
    const image = await pool.unpack(request, { signal, onProgress });
    return { state: "unpacked", image, ms: performance.now() - startedMs };
  } catch (error) {
    return { state: "failed", error };
  }
}
