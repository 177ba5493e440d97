// Tests the wait for a batch on a pool that does not answer.
import { expect, test } from "bun:test";
import { untilBatchEnds } from "../../../src/cli/commands/batch-watch.ts";
import type { BatchPool } from "../../../src/cli/pool/pool.ts";
import { batchId } from "../../../src/domain/identifiers.ts";

test("a batch is no longer waited for once its caller is interrupted, though no worker answers", async () => {
  const interrupted = new AbortController();
  const batch: BatchPool["batch"] = (_given, options) => {
    const { promise, reject } = Promise.withResolvers<never>();
    options?.signal?.addEventListener("abort", () => reject(new Error("the call was given up")));
    queueMicrotask(() => interrupted.abort(new Error("interrupted")));
    return promise;
  };
  const watching = { signal: interrupted.signal, onProgress: () => undefined };
  const pool = { batch, pollMs: 10 };
  await expect(untilBatchEnds(pool, batchId("b-1f2e3d4c5b6a"), watching)).rejects.toThrow("interrupted");
});
