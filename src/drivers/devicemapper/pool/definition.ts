// Room: drivers. Owns the definition of a thin-pool, and its file `<poolDir>/thin-pool.json`.
import { rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { failedPrecondition } from "../../../domain/errors.ts";
import { type PoolName, poolName } from "../../../domain/identifiers.ts";
import { parsing } from "../../../domain/parsing.ts";
import { isErrno } from "../../../system/ffi/errno.ts";
import { settleFile, syncPath } from "../../../system/file/durable.ts";
import { readOwnFile } from "../../../system/file/own-files.ts";

/** Where a pool's blocks are stored. */
export type PoolStorage =
  | { readonly kind: "devices"; readonly dataDevice: string; readonly metadataDevice: string }
  /** Sparse files `data.img` and `metadata.img` in a directory, on loop devices. */
  | {
      readonly kind: "loopback";
      readonly directory: string;
      readonly dataBytes: number;
      readonly metadataBytes: number;
    };

/** The pool as `pool create` made it: the content of `<poolDir>/thin-pool.json`. */
export interface PoolDefinition {
  readonly pool: PoolName;
  readonly storage: PoolStorage;
  /** 128 to 2097152, in steps of 128. */
  readonly blockSectors: number;
  /** The kernel raises an event when fewer blocks than this are free. */
  readonly lowWaterBlocks: number;
  /** What a full pool does: fail the write at once (the default), or let it wait for room for a minute. */
  readonly whenFull: "error" | "queue";
}

/** The device-mapper name of a pool's thin-pool device; its thin devices are `<pool>-snap-<number>`. */
export const poolDeviceName = (pool: PoolName): string => `${pool}-pool`;

const absolutePath = z.string().startsWith("/");
const bytes = z.number().int().positive();

const storage = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("devices"), dataDevice: absolutePath, metadataDevice: absolutePath }),
  z.strictObject({ kind: z.literal("loopback"), directory: absolutePath, dataBytes: bytes, metadataBytes: bytes }),
]);

export const poolDefinition = z.strictObject({
  pool: z.string().transform(parsing(poolName)),
  storage,
  blockSectors: z.number().int().min(128).max(2_097_152).multipleOf(128),
  lowWaterBlocks: z.number().int().nonnegative(),
  whenFull: z.enum(["error", "queue"]),
});

/**
 * What is being made: written before the first effect of a creation, removed after its last. One without a definition
 * beside it says what must be taken down.
 */
const beginning = z.strictObject({
  definition: poolDefinition,
  /** Whether the metadata was empty or wiped; undoing then empties it again. */
  formats: z.boolean(),
  /** The uppermost directory that was made for the files. */
  madeDirectory: absolutePath.optional(),
});
export type Beginning = z.output<typeof beginning>;

export const definitionPath = (poolDir: string): string => join(poolDir, "thin-pool.json");
export const beginningPath = (poolDir: string): string => join(poolDir, ".new-thin-pool.json");

/** Undefined when there is none. Throws `failed_precondition` when the file is damaged. */
export const readDefinition = (poolDir: string): Promise<PoolDefinition | undefined> =>
  readJson(definitionPath(poolDir), poolDefinition);

export const readBeginning = (poolDir: string): Promise<Beginning | undefined> =>
  readJson(beginningPath(poolDir), beginning);

export const writeDefinition = (poolDir: string, given: PoolDefinition): Promise<void> =>
  writeJson(definitionPath(poolDir), given);

export const writeBeginning = (poolDir: string, given: Beginning): Promise<void> =>
  writeJson(beginningPath(poolDir), given);

export async function removeBeginning(poolDir: string): Promise<void> {
  await rm(beginningPath(poolDir), { force: true });
  await syncPath(poolDir);
}

async function readJson<T>(path: string, shape: z.ZodType<T>): Promise<T | undefined> {
  let text: string;
  try {
    text = readOwnFile(path, { readableByOthers: "allowed" });
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
  try {
    return shape.parse(JSON.parse(text));
  } catch (error) {
    const faults = error instanceof z.ZodError ? error.issues.map(faultText).join("; ") : "it is not JSON";
    throw failedPrecondition(`${path} is damaged (${faults}): repair it, or restore it from a backup`, error);
  }
}

const faultText = ({ path, message }: z.core.$ZodIssue): string => [path.join("."), message].filter(Boolean).join(": ");

async function writeJson(path: string, given: unknown): Promise<void> {
  const unfinished = join(dirname(path), ".unfinished-thin-pool.json");
  await writeFile(unfinished, `${JSON.stringify(given, undefined, 2)}\n`, { mode: 0o600 });
  await settleFile(unfinished, path);
}
