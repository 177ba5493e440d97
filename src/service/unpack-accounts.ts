// Room: service. Owns how unpacks went, or go: their layers, and when each stage of them was.
import { z } from "zod";
import { errorCodes, invalidArgument, notFound } from "../domain/errors.ts";
import { operationId } from "../domain/identifiers.ts";
import { layerStages, unpackStages } from "../domain/layer-stages.ts";
import { parsing } from "../domain/parsing.ts";
import { type TimedProgress, timedProgress, unpackRequest } from "../jobs/contract.ts";
import type { QueuedUnpack } from "../jobs/requests/active-unpacks.ts";
import type { QueuedOperation } from "../jobs/requests/queued-operation.ts";
import type { Database } from "../metadata/database.ts";
import { unpackOutcomes } from "../metadata/unpack-schema.ts";
import { findUnpack, listUnpacks as rowsOf, type UnpackRow, type WantedUnpacks } from "../metadata/unpacks.ts";
import { listOperation, operation } from "./operation.ts";
import type { PoolService, Service } from "./service.ts";

const time = z.number().nullable();

const layer = z.object({
  digest: z.string(),
  /** `waiting` also for one whose turn has not come. `cached`: the pool had it. */
  state: z.enum(["waiting", "unpacking", "unpacked", "cached"]),
  compressedBytes: z.number(),
  readBytes: z.number(),
  /** Those that have begun, in their order. They overlap: a layer is written while it is fetched. */
  stages: z.array(
    z.object({
      stage: z.enum(layerStages),
      startMs: z.number(),
      /** Null: it has not ended; of an unpack that has, it was under way then. */
      endMs: time,
      /** What of that time was spent in it; null: it has not ended. */
      spentMs: time,
    }),
  ),
});

export const unpackAccount = z.object({
  operationId: z.string(),
  image: z.string(),
  /** Null: that of the pool's host. */
  platform: z.string().nullable(),
  /** How its registry is used; null: as usual. */
  registry: unpackRequest.registry.unwrap().nullable(),
  state: z.enum(["queued", "running", "unpacked", "failed", "cancelled"]),
  /** Null: it has ended long ago. */
  queuedAtMs: time,
  /** Of its last attempt. */
  startedAtMs: time,
  endedAtMs: time,
  failure: z.object({ code: z.enum(errorCodes), message: z.string() }).nullable(),
  /** Bottom first. None: its image has not been found yet. */
  layers: z.array(layer),
  /** Of layers that the pool had: compressed bytes that were not fetched and not unpacked. */
  savedBytes: z.number(),
});
export type UnpackAccount = z.output<typeof unpackAccount>;

/** An unpack that runs, or is among the last 500 that have unpacked anything, or failed. Throws not_found for others. */
export const getUnpack = operation(
  { input: z.object({ operationId: z.string().transform(parsing(operationId)) }), output: unpackAccount },
  async (service: PoolService, given): Promise<UnpackAccount> => {
    const row = findUnpack(service.database(), given.operationId);
    if (row !== undefined) return ofRow(row);
    const client = await service.client();
    const [asked, queued] = await Promise.all([
      client.queuedUnpack(given.operationId),
      client.queued(given.operationId),
    ]);
    // It may have ended since: then its record says more than its job.
    const ended = findUnpack(service.database(), given.operationId);
    if (ended !== undefined) return ofRow(ended);
    if (asked !== undefined && queued !== undefined) return ofJob(asked, queued);
    throw notFound(`there is no unpack ${given.operationId}, or it ended too long ago to be remembered`);
  },
);

const pageRows = 50;
const listed = unpackAccount.extend({
  /** Grows with each end. */
  number: z.number().int(),
});

/** The last 500 unpacks that have ended, and unpacked anything or failed: the latest first. */
export const listUnpacks = listOperation(
  {
    input: z.object({
      after: z.string().optional(),
      state: z.enum(unpackOutcomes).optional(),
      /** In the image, the operation ID, the failure or a layer's digest. */
      find: z.string().max(1000).optional(),
    }),
    output: listed,
    placeOf: ({ number }) => String(number),
  },
  function* ({ database }: Pick<Service, "database">, given): Generator<z.output<typeof listed>[], void> {
    const { state: outcome, find: text } = given;
    let before = numberIn(given.after);
    for (;;) {
      const rows = pageOf(database(), { before, limit: pageRows, outcome, text });
      if (rows.length > 0) yield rows;
      before = rows.at(-1)?.number ?? 0;
      if (rows.length < pageRows) return;
    }
  },
);

const pageOf = (database: Database, wanted: WantedUnpacks): z.output<typeof listed>[] =>
  rowsOf(database, wanted).map((row) => ({ number: row.number, ...ofRow(row) }));

function numberIn(after: string | undefined): number {
  if (after === undefined) return Number.MAX_SAFE_INTEGER;
  if (/^\d{1,15}$/.test(after)) return Number(after);
  throw invalidArgument("the cursor is not one of this list: begin without");
}

/** One that a worker executes at this moment. */
export const ofActive = (asked: QueuedUnpack): UnpackAccount => ({
  operationId: asked.operationId,
  image: asked.reference,
  platform: asked.platform,
  registry: asked.registry,
  state: asked.startedAtMs === null ? "queued" : "running",
  queuedAtMs: asked.queuedAtMs,
  startedAtMs: asked.startedAtMs,
  endedAtMs: null,
  failure: null,
  ...layersOf(asked.progress),
});

function ofJob(asked: QueuedUnpack, { stand, endedAtMs }: QueuedOperation): UnpackAccount {
  const active = ofActive(asked);
  switch (stand.state) {
    case "pending":
    case "lost":
      return active;
    case "completed":
      return { ...active, state: "unpacked", endedAtMs };
    case "failed": {
      const { code, message } = stand.failure;
      return { ...active, state: "failed", endedAtMs, failure: { code, message } };
    }
  }
}

function ofRow({
  operationId: id,
  reference,
  platform,
  outcome,
  startedAtMs,
  endedAtMs,
  ...row
}: UnpackRow): UnpackAccount {
  const { errorCode, errorMessage } = row;
  const failure = errorMessage === null ? null : { code: errorCode ?? ("internal" as const), message: errorMessage };
  const told = timedProgress.safeParse({ layers: JSON.parse(row.layers) }).data;
  const registry = unpackRequest.registry.safeParse(JSON.parse(row.registry ?? "null")).data ?? null;
  const common = { operationId: id, image: reference, platform, registry, state: outcome, queuedAtMs: null };
  return { ...common, startedAtMs, endedAtMs, failure, ...layersOf(told) };
}

function layersOf(progress: TimedProgress | undefined): Pick<UnpackAccount, "layers" | "savedBytes"> {
  const layers = (progress?.layers ?? []).map(({ stages, ...each }) => ({ ...each, stages: unpackStages(stages) }));
  const cached = layers.filter(({ state }) => state === "cached");
  return { layers, savedBytes: cached.reduce((sum, { compressedBytes }) => sum + compressedBytes, 0) };
}
