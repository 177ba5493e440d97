// Room: test. Owns what an unpack makes of the pool's answers to its commits.
import { expect, test } from "bun:test";
import { Canceller } from "../../src/domain/cancellation.ts";
import { alreadyExists } from "../../src/domain/errors.ts";
import { type ChainId, chainId, freshOperationId, snapshotKey } from "../../src/domain/identifiers.ts";
import type { Database } from "../../src/metadata/database.ts";
import { createLayerStore } from "../../workers/layer-store.ts";
import { failureOf } from "../jobs/support.ts";
import { sha256 } from "../support/images.ts";

const chainOf = (text: string): ChainId => chainId(sha256(Buffer.from(text)));
const [layer, next] = [chainOf("layer"), chainOf("next")];
const key = snapshotKey("unpack/active");

test("a layer that an earlier attempt's commit has put into the pool meanwhile has the image begun again", async () => {
  const store = createLayerStore({
    database: undefined as unknown as Database,
    client: { call: () => Promise.reject(alreadyExists("the snapshot exists already")) },
    operationId: freshOperationId(),
    image: "test",
    onLeftBehind: () => undefined,
    onFailure: () => undefined,
  });
  const { signal } = new Canceller();
  for (const commit of [
    () => store.commit(layer, key, 1, signal),
    () => store.checkpoint(layer, key, 1, next, signal),
    () => store.commitCopies(key, [{ chainId: layer, bytes: 1, copy: "copy" }], next, signal),
  ]) {
    expect(await failureOf(commit())).toMatchObject({ code: "aborted" });
  }
});
