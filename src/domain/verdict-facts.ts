// Room: domain. Owns the facts that a verdict on a pool is made of.
import type { HealthPart } from "./health.ts";
import type { QueueHold, QueueKind } from "./queues.ts";
import type { Trend } from "./trend.ts";

export type ChildKind = "redis" | "pool" | "unpack" | "grpc";

/** A process of `up`. */
export interface WatchedChild {
  readonly kind: ChildKind;
  /** `waiting`: it has died, and is started again after a pause. */
  readonly state: "starting" | "ready" | "waiting" | "stopped";
}

/** What an `up` knows of a pool that it serves. */
export interface Watch {
  readonly atMs: number;
  readonly isStarted: boolean;
  /** Why jobs are not taken and worked off, by part, a sentence each. */
  readonly parts: Readonly<Record<HealthPart, readonly string[]>>;
  readonly children: readonly WatchedChild[];
  /** What is wrong with children that run, a sentence each. */
  readonly troubles: Readonly<Record<ChildKind, readonly string[]>>;
  /** In the last ten minutes: which, and when it was noticed. */
  readonly restarts: readonly { readonly component: string; readonly atMs: number }[];
  /** Null: nothing could be read of the pool. */
  readonly driver: string | null;
  /** Whether the pool's device is there; null: that could not be read. */
  readonly isAttached: boolean | null;
  /** Of a thin-pool. */
  readonly poolState: string | null;
  readonly oldestWaitingMs: Readonly<Record<QueueKind, number>> | null;
  /** What the last doctor run left; null: none has run since the start. */
  readonly doctor: { readonly atMs: number; readonly findings: number } | null;
  /** Why what is asked for over HTTP cannot be recorded, and is refused; null: it can. */
  readonly recordsTrouble: string | null;
  readonly disk: { readonly freeBytes: number; readonly totalBytes: number; readonly hasReserve: boolean };
}

export interface AreaFacts {
  readonly usedBytes: number;
  readonly totalBytes: number;
  readonly trend: Trend | null;
  /** Since when it is as full as `fullShare` says; null: it is not. */
  readonly fullSinceMs: number | null;
}

/** From here on an area counts as full: what is left is the last blocks of an operation. */
export const fullShare = 0.99;

export interface FailingRemovals {
  readonly count: number;
  /** Of the one that has failed for the longest. */
  readonly error: string | null;
  readonly sinceMs: number | null;
  /** Who holds its device: "mounted at /mnt"; null: nobody was found. */
  readonly holder: string | null;
  /** What all of them would free, as far as it was measured. */
  readonly bytes: number;
}

export interface FailedBatch {
  readonly batch: string;
  readonly name: string | null;
  readonly failed: number;
  readonly items: number;
  readonly isOver: boolean;
  readonly sinceMs: number | null;
}

export interface VerdictFacts {
  readonly nowMs: number;
  readonly pool: string;
  /** Whether the pool was made. */
  readonly hasPool: boolean;
  /** Undefined: no `up` serves the pool, or it does not answer. */
  readonly watch: Watch | undefined;
  /** Why the `up` that runs does not answer. */
  readonly upSilence: string | undefined;
  /** Undefined: it is not known at the moment. */
  readonly data: AreaFacts | undefined;
  /** Undefined also for a pool that has none. */
  readonly metadata: AreaFacts | undefined;
  /** Since when unpacks have run without an end of any layer; null: none runs, or one has just ended. */
  readonly unpacksIdleSinceMs: number | null;
  readonly hold: QueueHold | undefined;
  /** Operations that are no longer retried, since workers died executing them; `sinceMs`: of the first. */
  readonly setAside: { readonly count: number; readonly jobs: readonly string[]; readonly sinceMs: number | null };
  /** Given up. */
  readonly failedRemovals: FailingRemovals;
  /** Still tried, after several attempts in vain. */
  readonly failingRemovals: FailingRemovals;
  /** With items that have failed, the latest first. */
  readonly failedBatches: readonly FailedBatch[];
}
