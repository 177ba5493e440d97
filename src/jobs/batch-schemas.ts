// Room: jobs. Owns the schemas that payloads and results of the jobs of batches are made of.
import { z } from "zod";
import { batchLimits, batchStates, itemStates } from "../domain/batches.ts";
import { errorCodes } from "../domain/errors.ts";
import { batchId, operationId } from "../domain/identifiers.ts";
import { unpackStages } from "../domain/unpack-stage.ts";
import { atMost, branded, unpackRequest } from "./schemas.ts";

export const batch = branded(batchId);
export const batchReason = z.string().min(1).max(batchLimits.reasonCharacters);

const settings = {
  name: z.string().min(1).max(batchLimits.nameCharacters).optional(),
  /** 1 goes first. */
  priority: z.number().int().min(1).max(batchLimits.priority).optional(),
  /** The most items that are queued or running at the same time. Default: twice as many as there are unpack workers. */
  parallel: z.number().int().min(1).max(batchLimits.parallel).optional(),
  attempts: z.number().int().min(1).max(batchLimits.attempts).optional(),
  /** When more of the items than this have failed, the rest is cancelled. */
  failAfterPercent: z.number().int().min(0).max(100).optional(),
  /** Of each attempt at an item, from its start. */
  timeLimitMs: z.number().int().min(1).max(batchLimits.timeLimitMs).optional(),
};

const { reference, platform, registry } = unpackRequest;
const wanted = z.object({ reference, platform, registry });

const isSmallEnough = (items: readonly unknown[]): boolean =>
  Buffer.byteLength(JSON.stringify(items)) <= batchLimits.itemBytes;

/** A batch as it is submitted to a pool. */
export const submission = {
  batch,
  ...settings,
  /** Of the items that name none of their own; so is `registry`. */
  platform,
  registry,
  items: atMost(batchLimits.items, wanted)
    .refine((items) => items.length > 0, "a batch needs an item at least")
    .refine(isSmallEnough, `the items have more than ${batchLimits.itemBytes} bytes: make several batches of them`),
};

/** What the job of an item knows of its batch. */
export const membership = z.object({
  batch,
  priority: settings.priority.unwrap(),
  attempts: settings.attempts.unwrap(),
  timeLimitMs: settings.timeLimitMs,
});

export const itemFailure = z.object({ code: z.enum(errorCodes), message: z.string(), stage: z.enum(unpackStages) });

/** What a failed unpack says besides its reason; nothing, when the queue lost it. */
export const failedAt = { code: z.enum(errorCodes).optional(), stage: z.enum(unpackStages).optional() };

const count = z.number().int();

/** A batch, and what it has come to. */
export const batchSummary = z.object({
  batch,
  name: z.string().optional(),
  state: z.enum(batchStates),
  counts: z.object({
    pending: count,
    running: count,
    done: count,
    present: count,
    failed: count,
    cancelled: count,
  } satisfies Record<(typeof itemStates)[number], typeof count>),
  priority: z.number(),
  parallel: z.number(),
  attempts: z.number(),
  failAfterPercent: z.number().optional(),
  timeLimitMs: z.number().optional(),
  createdAtMs: z.number(),
  cancelledAtMs: z.number().optional(),
  cancelReason: z.string().optional(),
});

/** `failure`: of the last attempt, also of one that another follows. */
export const batchItem = z.object({
  position: z.number().int(),
  reference: z.string(),
  platform: z.string(),
  registry,
  state: z.enum(itemStates),
  attempts: z.number().int(),
  operationId: branded(operationId).optional(),
  failure: itemFailure.optional(),
  startedAtMs: z.number().optional(),
  endedAtMs: z.number().optional(),
});

/** A page of a batch's items in the order given: those behind the position `after`, all or those in some states. */
export const itemsPage = {
  batch,
  states: z.array(z.enum(itemStates)).max(itemStates.length).readonly().optional(),
  after: z.number().int().min(0).optional(),
  limit: z.number().int().min(1).max(batchLimits.pageItems).optional(),
};
