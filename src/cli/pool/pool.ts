// Room: cli. Owns what a command sees of a pool: its operations, wherever the pool is.
import type { PoolName } from "../../domain/identifiers.ts";
import type { QueueHold } from "../../domain/queues.ts";
import type { Mount } from "../../domain/snapshots.ts";
import type { poolOperations } from "../../service/api.ts";
import type { Ending } from "../../service/service.ts";

type Operations = typeof poolOperations;

/** An operation as it is called on a pool; a list yields its items. */
type Call<Operation> = Operation extends (service: never, given: infer Given, options?: infer Options) => infer Returned
  ? Returned extends Iterable<readonly (infer Item)[]> | AsyncIterable<readonly (infer Item)[]>
    ? (given: Given, options?: Ending) => AsyncIterable<Item>
    : (given: Given, options?: unknown extends Options ? Ending : Options) => Promise<Awaited<Returned>>
  : never;

export type PoolOperations = { readonly [Name in keyof Operations]: Call<Operations[Name]> };

/** Where the pool is, on its host. */
export interface Place {
  readonly stateDir: string;
  readonly poolDir: string;
}

/** How long what serves the pool will run: until it is stopped, or until a command ends. */
export type Serving = "lasting" | "temporary";

export interface PoolFacts extends AsyncDisposable {
  readonly name: PoolName;
  /** How often to ask for something that has no events. */
  readonly pollMs: number;
  readonly place: () => Promise<Place>;
  /** What runs that serves the pool; undefined: nothing does. */
  readonly serving: () => Promise<Serving | undefined>;
}

export interface Pool extends PoolOperations, PoolFacts {
  /** How many images can be unpacked at the same time. */
  readonly unpackWorkers: () => Promise<number>;
  /** Who holds the unpack queue; null: nobody. Throws not_found where the pool is still being made. */
  readonly unpackHold: () => Promise<QueueHold | null>;
  /** Throws unavailable if nothing runs that can make changes, failed_precondition if it serves another pool. */
  readonly requireRunning: () => Promise<void>;
  /** The first of `mounts` whose device is not there now. */
  readonly missing: (mounts: readonly Mount[]) => Mount | undefined;
}

/** What unpacks need of it. */
export type UnpackPool = Pick<Pool, "name" | "serving" | "unpackWorkers" | "unpackHold" | "unpack">;

/** A pool of which only batches may be within reach: see `openBatches`. */
export type BatchPool = PoolFacts &
  Pick<PoolOperations, "submitBatch" | "cancelBatch" | "retryBatch" | "removeBatch" | "batch" | "listBatchItems">;
