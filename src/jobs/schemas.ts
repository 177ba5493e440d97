// Room: jobs. Owns the schemas that payloads and results of jobs are made of.
import { z } from "zod";
import { fsTypes } from "../domain/devices.ts";
import { findingKinds } from "../domain/findings.ts";
import { chainId, diffId, digest, operationId, poolName, scope, snapshotKey } from "../domain/identifiers.ts";
import { layerStages } from "../domain/layer-stages.ts";
import { parsing } from "../domain/parsing.ts";
import { checkLabels, type Labels, labelsOf, snapshotKinds } from "../domain/snapshots.ts";
import { maxFieldPathBytes } from "../domain/update-mask.ts";

/** A zod type made of a parsing function of the domain; a refusal keeps its message. */
export const branded = <T>(parse: (text: string) => T) => z.string().transform(parsing(parse));

const isRecordOfText = (given: unknown): boolean =>
  typeof given === "object" &&
  given !== null &&
  !Array.isArray(given) &&
  Object.values(given).every((value) => typeof value === "string");

/** Not z.record, which drops a label that is called "__proto__". */
export const labels = z
  .custom<Labels>(isRecordOfText, "give labels as texts by name")
  .meta({ type: "object", additionalProperties: { type: "string" } })
  .transform(parsing((given: Labels): Labels => labelsOf(Object.entries(checkLabels(given)))));

/** The length is checked before the items: a million mistakes need no million messages. */
export const atMost = <T extends z.ZodType>(count: number, item: T) =>
  z.array(z.custom<z.input<T>>()).max(count, `at most ${count} can be given`).pipe(z.array(item));

/** What every payload has beside its own fields. */
export const envelope = { pool: branded(poolName), operationId: branded(operationId) };
export const scoped = { ...envelope, scope: branded(scope) };

export const key = branded(snapshotKey);
/** A file's name, without a directory. */
export const copyName = z.string().regex(/^[0-9a-f-]{1,64}$/, "a copy has a name of hexadecimal digits");
export const sizeBytes = z.number().int().positive();
export const nothing = z.object({}).transform((): object => ({}));

export const fieldPath = z.string().refine((text) => Buffer.byteLength(text) <= maxFieldPathBytes, {
  message: `a field path has at most ${maxFieldPathBytes} bytes`,
});

const mount = z.object({ type: z.enum(fsTypes), source: z.string(), options: z.array(z.string()).readonly() });
export const mounts = z.object({ mounts: z.array(mount).readonly() });

export const snapshot = z.object({
  scope: branded(scope),
  key,
  kind: z.enum(snapshotKinds),
  parent: key.optional(),
  labels,
  createdAtMs: z.number(),
  updatedAtMs: z.number(),
});

/** An answer from before repairs were chosen says neither `id` nor `repairable`. */
export const diagnosis = z.object({
  /** The same for the same thing in every look. */
  id: z.string().prefault(""),
  kind: z.enum(findingKinds),
  subject: z.string(),
  sentence: z.string(),
  wayOut: z.string(),
  /** Whether a repair tries to mend it, which is safe; something may have to be unmounted or closed first. */
  repairable: z.boolean().prefault(false),
  repaired: z.boolean(),
});

/** A path on Linux has at most 4,096 bytes; a registry's name and a tag are shorter. */
const maxReferenceCharacters = 8192;
const maxPlatformCharacters = 256;
const platform = z.string().min(1).max(maxPlatformCharacters);

const bytesPerSecond = z.number().int().positive();
const absolutePath = z
  .string()
  .max(4096)
  .startsWith("/", "an absolute path is needed: the worker's directory is another");

/** No credentials, only where the pool's host finds them: see `RegistryOptions`. */
const registryOptions = z.strictObject({
  authFile: absolutePath.optional(),
  plainHttp: z.boolean().optional(),
  minBytesPerSecond: bytesPerSecond.optional(),
  maxBytesPerSecond: bytesPerSecond.optional(),
  group: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/)
    .optional(),
});

/** Which image to unpack. */
export const unpackRequest = {
  /**
   * The full reference, paths in it absolute: `docker://HOST/REPOSITORY[:TAG][@DIGEST]`, `oci:DIR[:TAG]`,
   * `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:TAG]`.
   */
  reference: z.string().min(1).max(maxReferenceCharacters),
  /** `os/architecture[/variant]`. Left out: that of the pool's host. */
  platform: platform.optional(),
  /** For `docker://` alone. */
  registry: registryOptions.optional(),
};

export const unpackedLayer = z.object({
  digest: branded(digest),
  diffId: branded(diffId),
  chainId: branded(chainId),
  compressedBytes: z.number(),
  bytes: z.number(),
  cached: z.boolean(),
  ms: z.number(),
});

export const unpackedImage = z.object({
  image: z.string(),
  platform: z.string(),
  manifestDigest: branded(digest),
  /** What a registry says that the reference is, where that is an index. */
  resolvedDigest: branded(digest).optional(),
  chainId: branded(chainId),
  /** The committed snapshot that shows the whole image, in snapmill's own scope. */
  snapshot: key,
  layers: z.array(unpackedLayer),
});

/** An image: the manifest of one platform. */
export const imageId = z.object({ manifestDigest: branded(digest), platform });

/** A name of an image: one reference means another image on each platform. */
export const imageNameId = z.object({ reference: z.string().min(1).max(maxReferenceCharacters), platform });

export const removedImages = z.object({
  names: z.array(imageNameId).readonly(),
  /** Images that lost their last name, or were asked for as a whole. */
  images: z.array(imageId).readonly(),
  /** Layers that are gone, with what each alone mapped of the pool, as measured at its commit. */
  layers: z.array(z.object({ chainId: branded(chainId), bytes: z.number() })).readonly(),
  isMore: z.boolean(),
  /** "in use": the image is removed, and the layers that something still uses go when that has gone. */
  kept: z.array(imageId.extend({ kind: z.enum(["pinned", "asked for", "in use"]), reason: z.string() })).readonly(),
});

/** An image as it will be unpacked, and what that takes of the pool. */
const resolvedImage = z.object({
  image: z.string(),
  platform: z.string(),
  manifestDigest: branded(digest),
  /** Bottom first. */
  layers: z.array(
    z.object({
      digest: branded(digest),
      diffId: branded(diffId),
      chainId: branded(chainId),
      compressedBytes: z.number(),
      /** The pool has its snapshot: nothing of it is fetched or written. */
      isHeld: z.boolean(),
      /** In a registry, not in a file of the pool's host. */
      isRemote: z.boolean(),
      /** That it will take of the pool, as far as that can be told before; 0 when it is held. */
      estimatedBytes: z.number(),
    }),
  ),
  /** How much larger compressed layers become, and how that is known. */
  expansion: z.object({ factor: z.number(), basis: z.enum(["history", "assumed"]) }),
  /** That new layers can take of the pool and the host under it, at the time of the answer. */
  spareBytes: z.number(),
});

/** What `resolve` is asked, and answers. */
export const resolution = { payload: z.object({ ...envelope, ...unpackRequest }), result: resolvedImage };

const milliseconds = z.number().nullable();
/** When each stage of a layer was: see domain/layer-stages.ts. */
const packedStages = z.object({
  atMs: z.number(),
  ms: z.partialRecord(z.enum(layerStages), z.tuple([z.number(), milliseconds, milliseconds]).readonly()).readonly(),
});

const layerProgress = z.object({
  digest: branded(digest),
  state: z.enum(["waiting", "unpacking", "unpacked", "cached"]),
  compressedBytes: z.number(),
  readBytes: z.number(),
});

/** An unpack job's progress: one entry for each layer, bottom first. */
export const unpackProgress = z.object({ layers: z.array(layerProgress) });

/** The same as workers tell it, who also say when the stages were that have begun; an older one does not. */
export const timedProgress = z.object({ layers: z.array(layerProgress.extend({ stages: packedStages.optional() })) });

/** An unpack that has ended, for those who ask how it went. */
export const unpackAccount = z.object({
  reference: z.string(),
  platform,
  registry: registryOptions.optional(),
  /** Of its last attempt. */
  startedAtMs: z.number(),
  /** None: it ended before its image was found. */
  layers: timedProgress.shape.layers.readonly(),
});
