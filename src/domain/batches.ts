// Room: domain. Owns batches: the states of a batch and of its items, what may be asked for, and what both are limited to.
import { invalidArgument } from "./errors.ts";

/** The closed set of states of an item: one image that a batch wants in one pool. */
export const itemStates = ["pending", "running", "done", "present", "failed", "cancelled"] as const;
export type ItemState = (typeof itemStates)[number];

/** How many items a batch has in each state; counted from their rows. */
export type ItemCounts = Readonly<Record<ItemState, number>>;

/**
 * `cancelling`: cancelled, and items still run. `done`: every item is done or present. `failed`: every item has ended,
 * and at least one has failed.
 */
export const batchStates = ["running", "cancelling", "cancelled", "done", "failed"] as const;
export type BatchState = (typeof batchStates)[number];

export function batchState(counts: ItemCounts, isCancelled: boolean): BatchState {
  const isOpen = counts.pending + counts.running > 0;
  if (isCancelled) return isOpen ? "cancelling" : "cancelled";
  if (isOpen) return "running";
  if (counts.failed > 0) return "failed";
  return counts.cancelled > 0 ? "cancelled" : "done";
}

export const isBatchOver = (state: BatchState): boolean => state !== "running" && state !== "cancelling";

export const itemCount = (counts: ItemCounts): number => itemStates.reduce((sum, state) => sum + counts[state], 0);

export const noItems: ItemCounts = { pending: 0, running: 0, done: 0, present: 0, failed: 0, cancelled: 0 };

/** Of what one pool holds and one submission may ask for. */
export const batchLimits = {
  /** Batches that a pool remembers, ended ones among them. */
  batches: 1000,
  items: 10_000,
  /** Of the items of one batch, as JSON. */
  itemBytes: 3 * 2 ** 20,
  /** In one answer. */
  pageItems: 500,
  nameCharacters: 200,
  reasonCharacters: 500,
  /** Items of one batch that are queued or running. */
  parallel: 64,
  /** 1 goes first. What is not of a batch goes before all of them. */
  priority: 1000,
  attempts: 100,
  timeLimitMs: 7 * 24 * 3600 * 1000,
} as const;

export const defaultPriority = 100;
export const defaultAttempts = 3;

/** How a batch is worked off. */
export interface BatchSettings {
  readonly name?: string | undefined;
  /** 1 to 1000, 1 first. */
  readonly priority: number;
  /** The most items that are queued or running at the same time. */
  readonly parallel: number;
  /** How often an item is tried. */
  readonly attempts: number;
  /** When more of the items than this have failed, the rest is cancelled. */
  readonly failAfterPercent?: number | undefined;
  /** Of each attempt at an item, from its start. */
  readonly timeLimitMs?: number | undefined;
}

/** What the job of a batch's item knows of its batch. */
export interface BatchMembership extends Pick<BatchSettings, "priority" | "attempts" | "timeLimitMs"> {
  readonly batch: string;
}

/** Why too many items have failed; undefined: not too many have. */
export function tooManyFailed(failed: number, total: number, failAfterPercent: number | undefined): string | undefined {
  if (failAfterPercent === undefined || failed * 100 <= failAfterPercent * total) return undefined;
  return `${failed} of ${total} items failed: more than ${failAfterPercent} %`;
}

/** Throws invalid_argument for the second of two items that want the same. */
export function requireDistinct(items: readonly { readonly reference: string; readonly platform: string }[]): void {
  const seen = new Set<string>();
  for (const { reference, platform } of items) {
    const wanted = JSON.stringify([reference, platform]);
    if (seen.has(wanted)) throw invalidArgument(`the batch names ${reference} for ${platform} twice: give it once`);
    seen.add(wanted);
  }
}
