// Tests what is checked before another host's pool is reached.
import { expect, test } from "bun:test";
import { chmodSync } from "node:fs";
import { readConfig } from "../../src/config.ts";
import { batchId } from "../../src/domain/identifiers.ts";
import { untilBatchEnds } from "../../src/service/batches.ts";
import { reachPool } from "../../src/service/remote-service.ts";
import type { Service } from "../../src/service/service.ts";
import { temporaryDirectory } from "../support/directories.ts";

test("a state directory that other users can write to is refused also where the pool is another host's", async () => {
  await using directory = await temporaryDirectory();
  chmodSync(directory.path, 0o777);
  const config = readConfig(
    {},
    { SNAPMILL_STATE_DIR: `${directory.path}/state`, REDIS_URL: `unix://${directory.path}/no-redis.sock` },
  );
  await expect(reachPool(config, () => undefined)).rejects.toThrow(
    `${directory.path} can be written to by other users`,
  );
});

test("a batch is no longer waited for once its caller is interrupted, though no worker answers", async () => {
  const interrupted = new AbortController();
  const change: Service["change"] = (_name, _given, options) => {
    const { promise, reject } = Promise.withResolvers<never>();
    options?.signal?.addEventListener("abort", () => reject(new Error("the call was given up")));
    queueMicrotask(() => interrupted.abort(new Error("interrupted")));
    return promise;
  };
  const watching = { signal: interrupted.signal, onProgress: () => undefined };
  await expect(untilBatchEnds({ change }, batchId("b-1f2e3d4c5b6a"), watching)).rejects.toThrow("interrupted");
});
