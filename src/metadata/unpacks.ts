// Room: metadata. Owns the records of unpacks that have ended: the last ones, each with the times of its layers.
import { and, desc, eq, lt, lte, or, sql } from "drizzle-orm";
import type { OperationId } from "../domain/identifiers.ts";
import type { Database } from "./database.ts";
import { unpacks } from "./unpack-schema.ts";

export type UnpackRow = typeof unpacks.$inferSelect;
export type EndedUnpack = Omit<UnpackRow, "number" | "endedAtMs" | "layers" | "registry"> & {
  readonly layers: readonly unknown[];
  readonly registry?: object | undefined;
};

/** Of a layer of ten stages this is half a kilobyte. */
const keptUnpacks = 500;

/** In the caller's transaction. The first record of an operation counts; the oldest ones go. */
export function recordUnpack({ drizzle }: Database, { layers, registry, ...ended }: EndedUnpack): void {
  const asText = { layers: JSON.stringify(layers), registry: registry === undefined ? null : JSON.stringify(registry) };
  const row = { ...ended, ...asText, endedAtMs: Date.now() };
  const made = drizzle.insert(unpacks).values(row).onConflictDoNothing().returning({ number: unpacks.number }).get();
  // Nothing is returned where it was recorded before.
  const number: number | undefined = (made as typeof made | undefined)?.number;
  if (number === undefined) return;
  drizzle
    .delete(unpacks)
    .where(lte(unpacks.number, number - keptUnpacks))
    .run();
}

export interface WantedUnpacks {
  readonly before: number;
  readonly limit: number;
  readonly outcome?: UnpackRow["outcome"] | undefined;
  /** In the image, the operation ID, the failure or a layer's digest; upper and lower case are the same. */
  readonly text?: string | undefined;
}

/** At most `limit`, the latest first, all before row `before`. */
export const listUnpacks = ({ drizzle }: Database, { before, limit, outcome, text }: WantedUnpacks): UnpackRow[] =>
  drizzle
    .select()
    .from(unpacks)
    .where(
      and(
        lt(unpacks.number, before),
        outcome && eq(unpacks.outcome, outcome),
        text === undefined
          ? undefined
          : or(...searched.map((column) => sql`instr(lower(${column}), lower(${text})) > 0`)),
      ),
    )
    .orderBy(desc(unpacks.number))
    .limit(limit)
    .all();

const searched = [unpacks.reference, unpacks.operationId, unpacks.errorCode, unpacks.errorMessage, unpacks.layers];

export const findUnpack = ({ drizzle }: Database, operationId: OperationId): UnpackRow | undefined =>
  drizzle.select().from(unpacks).where(eq(unpacks.operationId, operationId)).get();
