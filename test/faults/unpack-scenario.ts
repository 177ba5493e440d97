// Owns the scenario of an unpack: two layers written onto a pool's devices, with worker and writer in the one process.
import { readFileSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { diffId, digest, freshOperationId, ownScope, snapshotKey } from "../../src/domain/identifiers.ts";
import type { ResolvedImage } from "../../src/images/image.ts";
import { chainIdsOf, unpackChain } from "../../src/unpack/chain.ts";
import { applyLayer, releaseDevice } from "../../src/unpack/layer.ts";
import { createLayerStore } from "../../workers/layer-store.ts";
import type { PoolJobs } from "../../workers/pool-calls.ts";
import { Client, type SnapshotterFixture } from "../conformance/snapshotter-fixture.ts";
import { sha256 } from "../support/images.ts";
import { tar } from "../support/tar.ts";
import { file } from "../support/tar-entries.ts";
import type { Operation, Scenario } from "./scenarios.ts";

const layerTexts = ["of the lower layer", "of the upper layer"] as const;
const fillingBytes = 600_000;

/** The image's layers are files in `directory`, the same ones for every process. */
export interface UnpackRequest {
  readonly directory: string;
}

const layerFile = ({ directory }: UnpackRequest, index: number): string => join(directory, `layer-${index}.tar`);

async function writeLayers(request: UnpackRequest): Promise<void> {
  for (const [index, text] of layerTexts.entries()) {
    const entries = [file("file", text), file(`filling-${index}`, Buffer.alloc(fillingBytes, index + 1))];
    await writeFile(layerFile(request, index), tar(entries));
  }
}

function imageOf(request: UnpackRequest): ResolvedImage {
  const layers = layerTexts.map((_, index) => {
    const path = layerFile(request, index);
    const bytes = readFileSync(path);
    const blob = { path, offsetBytes: 0, lengthBytes: bytes.length };
    return { digest: digest(sha256(bytes)), diffId: diffId(sha256(bytes)), compression: "none" as const, blob };
  });
  const manifestDigest = digest(sha256(Buffer.from("a manifest")));
  const nothing = () => Promise.resolve();
  return { reference: "faults", platform: "linux/amd64", manifestDigest, layers, [Symbol.asyncDispose]: nothing };
}

/** As an unpack worker does it, with the pool's verbs where that has its queue; returns the chain IDs. */
export async function unpackLayers(
  { database, snapshotter }: SnapshotterFixture,
  request: UnpackRequest,
): Promise<string[]> {
  const call: PoolJobs["call"] = (name, given, { operationId = freshOperationId() } = {}) => {
    const verb = snapshotter[name as "prepare"].bind(snapshotter) as (id: string, request: object) => Promise<never>;
    return verb(operationId, given);
  };
  const leftBehind: unknown[] = [];
  const chained = await unpackChain(imageOf(request), {
    store: createLayerStore({
      database,
      client: { call },
      operationId: freshOperationId(),
      image: "faults",
      onLeftBehind: (_key, error) => leftBehind.push(error),
      onFailure: () => undefined,
    }),
    writer: {
      apply: (apply, { onProgress }) => applyLayer(apply, onProgress),
      release: async () => releaseDevice(),
    },
    lockDir: join(request.directory, "locks"),
    spaceGuards: [],
    signal: new AbortController().signal,
    handOver: new AbortController().signal,
    onProgress: () => undefined,
  });
  if (leftBehind.length > 0) throw new Error(`an attempt was left behind: ${leftBehind.map(String).join("; ")}`);
  return chained.map(({ chainId }) => chainId);
}

/** Snapmill's own client, which unpacks. */
const ownClient = ({ fixture }: Client): Client => new Client(fixture, ownScope);
const textIn = (root: string): string => readFileSync(`${root}/file`, "utf8");

export const unpackScenario: Scenario = {
  title: "unpack of two layers",
  setUp: async (client, { directory }): Promise<Operation> => {
    await writeLayers({ directory });
    // It is made of a template, which must be there, so that every run passes the same fault points.
    await client.prepare("first of a template");
    await client.remove("first of a template");
    return { verb: "unpack", operationId: freshOperationId(), request: { directory } };
  },
  answer: "result",
  async expectDone(client, { directory }) {
    const own = ownClient(client);
    const chainIds = chainIdsOf(imageOf({ directory }).layers);
    const found = own.walk().toSorted().join();
    if (found !== chainIds.toSorted().join()) throw new Error(`of the image there is: ${found}`);
    for (const [index, chainId] of chainIds.entries()) {
      const text = await own.seen(chainId, textIn);
      if (text !== layerTexts[index]) throw new Error(`the layer ${chainId} has ${JSON.stringify(text)}`);
    }
  },
  async tearDown(client, request) {
    const own = ownClient(client);
    const chainIds = chainIdsOf(imageOf(request).layers);
    for (const chainId of chainIds.toReversed()) await own.remove(snapshotKey(chainId));
    for (const index of layerTexts.keys()) await rm(layerFile(request, index));
  },
};
