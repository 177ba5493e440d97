// Room: test. Owns a chain whose layers are copied by the writer: they are committed beside the work on those above them.
import { afterAll, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { Canceller } from "../../src/domain/cancellation.ts";
import { aborted, invalidArgument, resourceExhausted, type SnapmillError } from "../../src/domain/errors.ts";
import type { ChainId } from "../../src/domain/identifiers.ts";
import { acquireLock } from "../../src/system/file/locks.ts";
import { chainIdsOf, type LayerStore, type LayerWriter, unpackChain } from "../../src/unpack/chain.ts";
import { lockPath } from "../../src/unpack/layer-turns.ts";
import { temporaryDirectory } from "../support/directories.ts";
import { until } from "../support/until.ts";
import { imageOf } from "./chain-image.ts";

const scratch = await temporaryDirectory();
afterAll(() => scratch[Symbol.asyncDispose]());
const lockDir = join(scratch.path, "locks");
const copies = { file: "/pool/device.img", directory: "/pool/device.copies" };

const image = imageOf(5);
const { layers } = image;
const chainIds = chainIdsOf(layers);
const numberOf = (chainId: ChainId): number => chainIds.indexOf(chainId);

/** A pool that commits copies when the test says so. */
class Pool implements LayerStore {
  readonly committed = new Map<ChainId, number>();
  readonly notes: string[] = [];
  /** What `commitCopies` waits for, called with the numbers of the layers. */
  hold: (numbers: readonly number[]) => Promise<void> = () => Promise.resolve();

  committedBytes(chainId: ChainId): number | undefined {
    return this.committed.get(chainId);
  }

  attempts(): [] {
    return [];
  }

  prepare(): ReturnType<LayerStore["prepare"]> {
    this.notes.push("prepare");
    return Promise.resolve({ devicePath: "/dev/null", fsType: "ext4", mountOptions: [], copies });
  }

  async commit(...[chainId, _key, bytes]: Parameters<LayerStore["commit"]>): Promise<void> {
    this.notes.push(`commit ${numberOf(chainId)}`);
    this.committed.set(chainId, bytes);
  }

  checkpoint(..._given: Parameters<LayerStore["checkpoint"]>): Promise<void> {
    return Promise.reject(invalidArgument("no checkpoint is taken of what is copied"));
  }

  async commitCopies(...[_key, copied, next]: Parameters<LayerStore["commitCopies"]>): Promise<void> {
    const numbers = copied.map(({ chainId }) => numberOf(chainId));
    this.notes.push(`commit copies of ${numbers.join()}, then ${numberOf(next)}`);
    await this.hold(numbers);
    for (const { chainId, bytes } of copied) this.committed.set(chainId, bytes);
  }

  async discard(): Promise<void> {
    this.notes.push("discard");
  }
}

type Applied = Awaited<ReturnType<LayerWriter["apply"]>>;

interface Unpacking {
  readonly pool: Pool;
  /** Called before each layer is applied. */
  readonly onApply?: (number: number) => Promise<void>;
  readonly copied?: string[];
  /** Whether a layer that others follow is to be copied now. Default: always. */
  readonly isCopied?: () => boolean;
}

function unpack({ pool, onApply, copied = [], isCopied = () => true }: Unpacking, done: number[] = []) {
  const apply: LayerWriter["apply"] = async ({ blob, copy, keepsMount }): Promise<Applied> => {
    const number = Number("path" in blob ? blob.path.at(-1) : "");
    if (isCopied()) expect(keepsMount).toBe(number < 4);
    expect(copy !== undefined).toBe(number < 4 && isCopied());
    await onApply?.(number);
    pool.notes.push(`apply ${number}`);
    if (copy !== undefined) copied.push(`${copy.from} to ${copy.to}`);
    return { bytes: number, entries: 1, spentMs: { waiting: 0, writing: 0, flush: 0, mounting: 0 }, periods: {} };
  };
  return unpackChain(image, {
    store: pool,
    writer: { apply, release: async () => void pool.notes.push("unmount") },
    lockDir,
    spaceGuards: [],
    signal: new Canceller().signal,
    handOver: new Canceller().signal,
    onProgress: () => undefined,
    onLayer: ({ chainId }) => done.push(numberOf(chainId)),
  });
}

const locked = (): number[] => {
  const nameOf = (chainId: ChainId) => basename(lockPath("", chainId));
  const names = readdirSync(lockDir);
  return chainIds.filter((chainId) => names.includes(nameOf(chainId))).map(numberOf);
};

test("layers are written while those below are committed, several at once, each locked until the pool has it", async () => {
  const pool = new Pool();
  const goOn = Promise.withResolvers<void>();
  const atFirst: number[] = [];
  pool.hold = async (numbers) => {
    if (!numbers.includes(0)) return;
    await goOn.promise;
    atFirst.push(...locked());
  };
  const [done, copied]: [number[], string[]] = [[], []];
  const unpacking = unpack({ pool, copied }, done);
  await until("the last layer is written", () => pool.notes.includes("apply 4"));
  expect(done).toEqual([]);
  goOn.resolve();
  const chained = await unpacking;
  const writing = ["apply 1", "apply 2", "apply 3", "apply 4"];
  const committing = ["commit copies of 1,2,3, then 4", "commit 4"];
  expect(pool.notes).toEqual(["prepare", "apply 0", "commit copies of 0, then 1", ...writing, ...committing]);
  expect(atFirst).toEqual([0, 1, 2, 3, 4]);
  expect(locked()).toEqual([]);
  expect(done).toEqual([0, 1, 2, 3, 4]);
  expect(chained.map(({ chainId, bytes, cached }) => [numberOf(chainId), bytes, cached])).toEqual(
    [0, 1, 2, 3, 4].map((number) => [number, number, false]),
  );
  expect(new Set(copied).size).toBe(4);
  for (const text of copied) expect(text).toMatch(/^\/pool\/device\.img to \/pool\/device\.copies\/[0-9a-f-]{36}$/);
});

test("a layer that fails waits for those below it, which stay; the draft and all locks go", async () => {
  const pool = new Pool();
  const goOn = Promise.withResolvers<void>();
  pool.hold = () => goOn.promise;
  const unpacking = unpack({
    pool,
    onApply: async (number) => {
      if (number === 3) throw invalidArgument("it is damaged");
    },
  }).catch((error: unknown) => error as SnapmillError);
  await until("the third layer is written", () => pool.notes.includes("apply 2"));
  await Bun.sleep(20);
  expect(pool.notes).not.toContain("discard");
  goOn.resolve();
  expect(await unpacking).toMatchObject({
    code: "invalid_argument",
    message: expect.stringContaining("layer 4 of 5"),
  });
  expect(pool.notes.slice(-3)).toEqual(["commit copies of 1,2, then 3", "unmount", "discard"]);
  expect([...pool.committed.keys()].map(numberOf)).toEqual([0, 1, 2]);
  expect(locked()).toEqual([]);
});

test("once copies could not be committed, no further layer is written", async () => {
  const pool = new Pool();
  const refused = Promise.withResolvers<void>();
  pool.hold = () => refused.promise;
  const unpacking = unpack({
    pool,
    onApply: async (number) => {
      if (number !== 1) return;
      refused.reject(aborted("a copy is gone"));
      await Bun.sleep(20);
    },
  });
  const failure = await unpacking.catch((error: unknown) => error as SnapmillError);
  expect(failure).toMatchObject({ code: "aborted", message: expect.stringContaining("layer 1 of 5") });
  expect(pool.notes.filter((note) => note.startsWith("apply"))).toEqual(["apply 0", "apply 1"]);
});

test("layers whose copies find no room are written once more, each committed before the next, when no other is in flight", async () => {
  const pool = new Pool();
  const full = resourceExhausted("the pool is full");
  let [isFull, isCopied] = [true, true];
  pool.hold = async () => {
    isCopied = false;
    throw full;
  };
  pool.checkpoint = async (chainId, _key, bytes) => {
    pool.notes.push(`checkpoint ${numberOf(chainId)}`);
    if (isFull) throw full;
    pool.committed.set(chainId, bytes);
  };
  const other = await acquireLock(join(lockDir, "other.lock"));
  const done: number[] = [];
  const unpacking = unpack({ pool, isCopied: () => isCopied }, done);
  await until("the first layer was tried again beside the other", () => pool.notes.join().endsWith("unmount,discard"));
  await until("a checkpoint found no room either", () => pool.notes.includes("checkpoint 0"));
  isFull = false;
  other[Symbol.dispose]();
  const chained = await unpacking;
  expect(chained.map(({ chainId, cached }) => [numberOf(chainId), cached])).toEqual(
    [0, 1, 2, 3, 4].map((number) => [number, false]),
  );
  expect(done).toEqual([0, 1, 2, 3, 4]);
  expect(locked()).toEqual([]);
});

test("copies that cannot be committed fail the image with their layer's name, and nothing above is committed", async () => {
  const pool = new Pool();
  pool.hold = async (numbers) => {
    await until("the layer above is written", () => pool.notes.includes("apply 2"));
    if (numbers.includes(1)) throw aborted("a copy is gone");
  };
  const failure = await unpack({ pool }).catch((error: unknown) => error as SnapmillError);
  expect(failure).toMatchObject({ code: "aborted", message: expect.stringContaining("layer 2 of 5") });
  expect([...pool.committed.keys()].map(numberOf)).toEqual([0]);
  expect(pool.notes.filter((note) => note.startsWith("commit "))).toHaveLength(2);
  expect(pool.notes.slice(-2)).toEqual(["unmount", "discard"]);
  expect(locked()).toEqual([]);
  expect(existsSync(lockDir)).toBe(true);
});
