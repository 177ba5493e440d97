// Room: test. Owns the calls of a chain to the writer and the pool, and the handling of interrupted layers.
import { afterAll, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { type AbortKind, AbortReason, Canceller } from "../../src/domain/cancellation.ts";
import { failedPrecondition, resourceExhausted, type SnapmillError } from "../../src/domain/errors.ts";
import { type ChainId, type SnapshotKey, snapshotKey } from "../../src/domain/identifiers.ts";
import { acquireLock } from "../../src/system/file/locks.ts";
import { chainIdsOf, type LayerStore, type LayerWriter, unpackChain } from "../../src/unpack/chain.ts";
import { lockPath } from "../../src/unpack/layer-turns.ts";
import type { ApplyRequest } from "../../src/unpack/protocol.ts";
import { temporaryDirectory } from "../support/directories.ts";
import { until } from "../support/until.ts";
import { imageOf } from "./chain-image.ts";

const locks = await temporaryDirectory();
afterAll(() => locks[Symbol.asyncDispose]());

const image = imageOf(4);
const { layers } = image;

const applied = { bytes: 1, entries: 1, spentMs: { waiting: 0, writing: 0, flush: 0, mounting: 0 }, periods: {} };

/** A pool's book without a pool. */
class Book implements LayerStore {
  readonly committed: Map<ChainId, number>;
  discarded = 0;

  constructor(committed = new Map<ChainId, number>()) {
    this.committed = committed;
  }

  committedBytes(chainId: ChainId): number | undefined {
    return this.committed.get(chainId);
  }

  attempts(_chainId: ChainId): SnapshotKey[] {
    return [];
  }

  prepare(..._given: Parameters<LayerStore["prepare"]>): ReturnType<LayerStore["prepare"]> {
    return Promise.resolve({ devicePath: "/dev/null", fsType: "ext4", mountOptions: [] });
  }

  async commit(...[chainId, _key, bytes]: Parameters<LayerStore["commit"]>): Promise<void> {
    this.committed.set(chainId, bytes);
  }

  async checkpoint(...[chainId, _key, bytes]: Parameters<LayerStore["checkpoint"]>): Promise<void> {
    this.committed.set(chainId, bytes);
  }

  async commitCopies(...[_key, copied]: Parameters<LayerStore["commitCopies"]>): Promise<void> {
    for (const { chainId, bytes } of copied) this.committed.set(chainId, bytes);
  }

  async discard(): Promise<void> {
    this.discarded += 1;
  }
}

interface Signals {
  readonly signal: AbortSignal;
  readonly handOver: AbortSignal;
}
const undisturbed: Signals = { signal: new Canceller().signal, handOver: new Canceller().signal };

const release = () => Promise.resolve();

const unpack = (store: LayerStore, apply: LayerWriter["apply"], signals = undisturbed) =>
  unpackChain(image, {
    store,
    writer: { apply, release },
    lockDir: join(locks.path, "locks"),
    spaceGuards: [],
    ...signals,
    onProgress: () => undefined,
  });

test("a layer is applied with the one above it announced, unless the pool has that", async () => {
  const requests: ApplyRequest[] = [];
  const top = chainIdsOf(layers).at(-1);
  await unpack(new Book(new Map(top === undefined ? [] : [[top, 1]])), (request) => {
    requests.push(request);
    return Promise.resolve(applied);
  });
  expect(requests.map(({ blob, next }) => [blob, next?.blob])).toMatchObject([
    [{ path: "/blobs/0" }, { path: "/blobs/1" }],
    [{ path: "/blobs/1" }, { path: "/blobs/2" }],
    [{ path: "/blobs/2" }, undefined],
  ]);
});

test("a layer whose commit was still in the queue when its unpack died is not unpacked again", async () => {
  const book = new Book();
  const [bottom] = chainIdsOf(layers) as [ChainId];
  const left = snapshotKey("unpack/left");
  book.attempts = (chainId) => (chainId === bottom && book.discarded === 0 ? [left] : []);
  book.discard = async () => {
    book.discarded += 1;
    book.committed.set(bottom, 7);
  };
  const written: number[] = [];
  const chained = await unpack(book, async ({ blob }) => {
    written.push("path" in blob ? blob.offsetBytes : -1);
    return applied;
  });
  expect(written).toEqual([1, 2, 3]);
  expect(chained[0]).toMatchObject({ cached: true, bytes: 7 });
});

test("when its job is to be handed over, the layer under way is finished and committed, and no other begun", async () => {
  const handOver = new Canceller();
  const book = new Book();
  const unpacking = unpack(
    book,
    async (_, { signal }) => {
      handOver.cancel(new AbortReason("lock_lost", "another worker may have it"));
      signal.throwIfAborted();
      return applied;
    },
    { ...undisturbed, handOver: handOver.signal },
  );
  const failure = await unpacking.catch((error: unknown) => error as SnapmillError);
  expect(failure).toMatchObject({ code: "aborted", message: expect.stringContaining("layer 2 of 4") });
  expect([...book.committed.keys()]).toEqual(chainIdsOf(layers).slice(0, 1));
  expect(book.discarded).toBe(0);
});

/** Notes what it is asked for, in order, with the layers by their number from the bottom. */
class Notebook extends Book {
  readonly notes: string[] = [];
  readonly #of = (chainId: ChainId | undefined) => (chainId === undefined ? -1 : chainIdsOf(layers).indexOf(chainId));

  override prepare(...given: Parameters<LayerStore["prepare"]>): ReturnType<LayerStore["prepare"]> {
    this.notes.push(`prepare on ${this.#of(given[1])}`);
    return super.prepare(...given);
  }

  override async commit(...given: Parameters<LayerStore["commit"]>): Promise<void> {
    this.notes.push(`commit ${this.#of(given[0])}`);
    await super.commit(...given);
  }

  override async checkpoint(...given: Parameters<LayerStore["checkpoint"]>): Promise<void> {
    this.notes.push(`checkpoint ${this.#of(given[0])}, then ${this.#of(given[3])}`);
    await super.checkpoint(...given);
  }

  override async discard(): Promise<void> {
    this.notes.push("discard");
    await super.discard();
  }

  readonly apply: LayerWriter["apply"] = async ({ blob, keepsMount }) => {
    this.notes.push(
      `apply ${"path" in blob ? (blob.path.at(-1) ?? "") : ""}${keepsMount === true ? ", stay mounted" : ""}`,
    );
    return applied;
  };
}

const unpackNoting = (book: Notebook, given: Partial<LayerWriter> = {}, signals = undisturbed) =>
  unpackChain(image, {
    store: book,
    writer: { apply: book.apply, release: async () => void book.notes.push("unmount"), ...given },
    lockDir: join(locks.path, "locks"),
    spaceGuards: [],
    ...signals,
    onProgress: () => undefined,
  });

const [bottom, second, third, top] = chainIdsOf(layers) as [ChainId, ChainId, ChainId, ChainId];
const inOneGo = ["apply 0, stay mounted", "checkpoint 0, then 1", "apply 1, stay mounted", "checkpoint 1, then 2"];

test("all layers are written to one snapshot with one mount, by a checkpoint each, and a commit of the last", async () => {
  const book = new Notebook();
  const lockedAt: string[][] = [];
  const checkpoint = book.checkpoint.bind(book);
  book.checkpoint = async (...given) => {
    lockedAt.push(readdirSync(join(locks.path, "locks")).sort());
    await checkpoint(...given);
  };
  const done = await unpackNoting(book);
  const rest = ["apply 2, stay mounted", "checkpoint 2, then 3", "apply 3", "commit 3"];
  expect(book.notes).toEqual(["prepare on -1", ...inOneGo, ...rest]);
  expect(done.map(({ chainId, cached }) => [chainId, cached])).toEqual(chainIdsOf(layers).map((id) => [id, false]));
  // The next layer's lock is taken before this one's is released, so that nobody takes the snapshot for abandoned.
  const locksOf = (...chainIds: ChainId[]) => chainIds.map((id) => basename(lockPath("", id))).sort();
  expect(lockedAt).toEqual([locksOf(bottom, second), locksOf(second, third), locksOf(third, top)]);
  expect(readdirSync(join(locks.path, "locks"))).toEqual([]);
});

test("a chain whose lower part is there starts from it, and one whose upper part is there ends with a commit", async () => {
  const book = new Notebook(new Map([[bottom, 1]]));
  await unpackNoting(book);
  expect(book.notes[0]).toBe("prepare on 0");
  const other = new Notebook(new Map([[third, 1]]));
  await unpackNoting(other);
  const lower = ["prepare on -1", "apply 0, stay mounted", "checkpoint 0, then 1", "apply 1", "commit 1"];
  expect(other.notes).toEqual([...lower, "prepare on 2", "apply 3", "commit 3"]);
});

test("a layer that fails discards what came since the last checkpoint, and its lock", async () => {
  const book = new Notebook();
  const apply: LayerWriter["apply"] = async (request, options) => {
    if (book.committed.size === 2) throw resourceExhausted("the pool is full");
    return await book.apply(request, options);
  };
  await expect(unpackNoting(book, { apply })).rejects.toMatchObject({ code: "resource_exhausted" });
  expect(book.notes).toEqual(["prepare on -1", ...inOneGo, "unmount", "discard"]);
  expect([...book.committed.keys()]).toEqual([bottom, second]);
  expect(readdirSync(join(locks.path, "locks"))).toEqual([]);
});

test("a layer is committed as ever when the next is another process's, and begun anew when that has given it up", async () => {
  const book = new Notebook();
  const other = await acquireLock(lockPath(join(locks.path, "locks"), second));
  const unpacking = unpackNoting(book);
  await until("the first layer was committed", () => book.committed.has(bottom));
  expect(book.notes).toEqual(["prepare on -1", "apply 0", "commit 0"]);
  other[Symbol.dispose]();
  await unpacking;
  expect(book.notes.slice(3, 6)).toEqual(["prepare on 0", "apply 1, stay mounted", "checkpoint 1, then 2"]);
});

test("where no checkpoint can be had, layers are committed one by one", async () => {
  const book = new Notebook();
  book.checkpoint = () => Promise.reject(failedPrecondition("it cannot be frozen"));
  await unpackNoting(book);
  const oneByOne = [1, 2, 3].flatMap((number) => [`prepare on ${number - 1}`, `apply ${number}`, `commit ${number}`]);
  expect(book.notes).toEqual(["prepare on -1", "apply 0, stay mounted", "unmount", "commit 0", ...oneByOne]);
});

/** How often the attempt at a finished layer is discarded when its commit ends with `kind`, or fails for good. */
async function discardsAfterCommit(kind: AbortKind | undefined): Promise<number> {
  const canceller = new Canceller();
  const book = new Book();
  const end = (signal: AbortSignal) => {
    if (kind === undefined) throw failedPrecondition("the parent is gone");
    canceller.cancel(new AbortReason(kind, "now"));
    signal.throwIfAborted();
  };
  book.commit = async (_chainId, _key, _bytes, signal) => end(signal);
  book.checkpoint = async (_chainId, _key, _bytes, _next, signal) => end(signal);
  const unpacking = unpack(book, async () => applied, { ...undisturbed, signal: canceller.signal });
  await unpacking.catch(() => undefined);
  return book.discarded;
}

test("a finished layer is discarded when its image was cancelled or its commit refused, not when the worker stops", async () => {
  expect(await discardsAfterCommit("cancelled")).toBe(1);
  expect(await discardsAfterCommit(undefined)).toBe(1);
  expect(await discardsAfterCommit("stopping")).toBe(0);
});

/** A pool that has room for `layers` layers: a writer that finds none leaves its own, until that is discarded. */
class SmallPool extends Book {
  readonly applied: string[] = [];
  #free: number;

  constructor(layers: number) {
    super();
    this.#free = layers;
  }

  override async discard(): Promise<void> {
    await super.discard();
    this.#free += 1;
  }

  async apply(what: string): Promise<typeof applied> {
    this.applied.push(what);
    this.#free -= 1;
    if (this.#free < 0) throw resourceExhausted("the pool is full");
    return applied;
  }
}

test("a layer that finds no room is tried once more when no other is in flight, and not where none was", async () => {
  const pool = new SmallPool(1);
  const [own, other] = chainIdsOf(layers.slice(0, 2)) as [ChainId, ChainId];
  const one = { ...image, layers: layers.slice(0, 1) };
  const directory = join(locks.path, "room");
  const unpackOne = () =>
    unpackChain(one, {
      store: pool,
      writer: { apply: () => pool.apply("one"), release },
      lockDir: directory,
      spaceGuards: [],
      ...undisturbed,
      onProgress: () => undefined,
    });
  {
    await pool.apply("other");
    const otherInFlight = await acquireLock(lockPath(directory, other));
    const unpacking = unpackOne();
    await until("it was tried beside the other", () => pool.discarded === 1);
    await pool.discard();
    otherInFlight[Symbol.dispose]();
    expect((await unpacking).map(({ chainId }) => chainId)).toEqual([own]);
    expect(pool.applied).toEqual(["other", "one", "one"]);
  }
  pool.committed.clear();
  const failure = await unpackOne().catch((error: unknown) => error as SnapmillError);
  expect(failure).toMatchObject({ code: "resource_exhausted" });
  expect(pool.applied).toEqual(["other", "one", "one", "one"]);
  expect(readdirSync(directory)).toEqual([]);
});
