// Room: jobs. Owns the contract: every job's name, payload and result, declared once and parsed on both sides.
import { z } from "zod";
import { fsTypes } from "../domain/devices.ts";
import { internal, invalidArgument } from "../domain/errors.ts";
import { findingKinds } from "../domain/findings.ts";
import {
  chainId,
  diffId,
  digest,
  operationId,
  parseDeviceName,
  poolName,
  scope,
  snapshotKey,
} from "../domain/identifiers.ts";
import { checkLabels, type Labels, labelsOf, snapshotKinds } from "../domain/snapshots.ts";
import { maxFieldPathBytes, maxFieldPaths } from "../domain/update-mask.ts";

/** A zod type out of a parsing function of the domain: its message is kept. */
function branded<T>(parse: (text: string) => T) {
  return z.string().transform((text, context): T => {
    try {
      return parse(text);
    } catch (error) {
      context.addIssue({ code: "custom", message: error instanceof Error ? error.message : String(error) });
      return z.NEVER;
    }
  });
}

const isRecordOfText = (given: unknown): boolean =>
  typeof given === "object" &&
  given !== null &&
  !Array.isArray(given) &&
  Object.values(given).every((value) => typeof value === "string");

/** Not z.record, which leaves out a label that is called "__proto__". */
const labels = z.custom<Labels>(isRecordOfText, "give labels as texts by name").transform((given, context): Labels => {
  try {
    return labelsOf(Object.entries(checkLabels(given)));
  } catch (error) {
    context.addIssue({ code: "custom", message: error instanceof Error ? error.message : String(error) });
    return z.NEVER;
  }
});

const key = branded(snapshotKey);
const mount = z.object({ type: z.enum(fsTypes), source: z.string(), options: z.array(z.string()).readonly() });
const mounts = z.object({ mounts: z.array(mount).readonly() });
const snapshot = z.object({
  scope: branded(scope),
  key,
  kind: z.enum(snapshotKinds),
  parent: key.optional(),
  labels,
  createdAtMs: z.number(),
  updatedAtMs: z.number(),
});
const diagnosis = z.object({
  kind: z.enum(findingKinds),
  subject: z.string(),
  sentence: z.string(),
  wayOut: z.string(),
  repaired: z.boolean(),
});
/** The number is looked at first: a million mistakes need no million messages. */
const atMost = <T extends z.ZodType>(count: number, item: T) =>
  z.array(z.custom<z.input<T>>()).max(count, `at most ${count} can be given`).pipe(z.array(item));

const fieldPath = z.string().refine((text) => Buffer.byteLength(text) <= maxFieldPathBytes, {
  message: `a field path has at most ${maxFieldPathBytes} bytes`,
});
const size = z.number().int().positive();
const nothing = z.object({}).transform((): object => ({}));

/** What every payload carries besides its own fields. */
const envelope = { pool: branded(poolName), operationId: branded(operationId) };
const scoped = { ...envelope, scope: branded(scope) };

const define = <P extends z.ZodType, R extends z.ZodType>(payload: P, result: R) => ({ payload, result });

/** A path on Linux has 4,096 bytes; a registry's name and a tag come to less. */
const maxReferenceCharacters = 8192;
const maxPlatformCharacters = 256;
/** That can be accepted at once. */
const maxUnpacks = 1000;

const bytesPerSecond = z.number().int().positive();
const absolutePath = z
  .string()
  .max(4096)
  .startsWith("/", "an absolute path is needed: the worker's directory is another");

/** No credentials, but where the pool's host has them: see `RegistryOptions`. */
const registryOptions = z.strictObject({
  authFile: absolutePath.optional(),
  plainHttp: z.boolean().optional(),
  minBytesPerSecond: bytesPerSecond.optional(),
  maxBytesPerSecond: bytesPerSecond.optional(),
});

/** An image reference in full, with its path made absolute: the worker's directory is not the caller's. */
const unpackRequest = {
  /** `docker://HOST/REPOSITORY[:TAG][@DIGEST]`, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:TAG]`. */
  reference: z.string().min(1).max(maxReferenceCharacters),
  /** `os/architecture[/variant]`. */
  platform: z.string().min(1).max(maxPlatformCharacters),
  /** For `docker://` alone. */
  registry: registryOptions.optional(),
};

export type UnpackRequest = Readonly<z.output<z.ZodObject<typeof unpackRequest>>>;

const unpackedLayer = z.object({
  digest: branded(digest),
  diffId: branded(diffId),
  chainId: branded(chainId),
  compressedBytes: z.number(),
  bytes: z.number(),
  cached: z.boolean(),
  ms: z.number(),
});

const unpackedImage = z.object({
  image: z.string(),
  platform: z.string(),
  manifestDigest: branded(digest),
  chainId: branded(chainId),
  /** The committed snapshot that shows the whole image, in snapmill's own scope. */
  snapshot: key,
  layers: z.array(unpackedLayer),
});

/** Jobs of a pool's own queue: executed one after the other by the pool's worker. */
export const poolJobs = {
  prepare: define(z.object({ ...scoped, key, parent: key.optional(), labels }), mounts),
  view: define(z.object({ ...scoped, key, parent: key.optional(), labels }), mounts),
  commit: define(z.object({ ...scoped, name: key, key, labels }), nothing),
  remove: define(z.object({ ...scoped, key }), nothing),
  /** `fieldPaths`: `labels` or `labels.<name>`; none means all labels. */
  update: define(z.object({ ...scoped, key, labels, fieldPaths: atMost(maxFieldPaths, fieldPath) }), snapshot),
  /** Deletes the device of a removed snapshot; comes from the outbox, and is tried again whatever goes wrong. */
  "remove-device": define(z.object({ ...envelope, device: branded(parseDeviceName) }), nothing),
  /** Does nothing: that it is answered shows that jobs run. */
  probe: define(z.object(envelope), nothing),
  /** Works off now what removals and dead unpacks left, and prunes the journal. */
  cleanup: define(z.object(envelope), z.object({ removedDevices: z.number(), removedSnapshots: z.number() })),
  /** Says what is not in order in the pool, and with `repair` mends what can be mended safely. */
  doctor: define(z.object({ ...envelope, repair: z.boolean() }), z.object({ findings: z.array(diagnosis).readonly() })),
  /** Makes a thin-pool larger: one in files to these sizes, one on devices to what they have. Answers the new sizes. */
  "grow-pool": define(
    z.object({ ...envelope, dataBytes: size.optional(), metadataBytes: size.optional() }),
    z.object({ dataBytes: z.number(), metadataBytes: z.number() }),
  ),
  /** Removes every snapshot and device of the pool; `failed_precondition` while one is busy. */
  "reset-pool": define(z.object(envelope), z.object({ removedDevices: z.number() })),
  /** Writes an unpack down in the outbox before it is queued, so that it survives the loss of Redis. */
  "accept-unpack": define(
    z.object({
      ...envelope,
      requests: atMost(maxUnpacks, z.object({ operationId: branded(operationId), ...unpackRequest })),
    }),
    nothing,
  ),
  /**
   * Ends an accepted unpack. Unpacked: the image is recorded and the outbox entry goes; failed for good: the entry goes,
   * unless it is cancelled.
   * Cancelled by its caller: the entry stays, marked, for a bounded time, so that a worker that has the job, now or
   * after a restart, sees it and gives up; also when the cancellation comes before the acceptance.
   */
  "settle-unpack": define(
    z.object({
      ...envelope,
      unpackOperationId: branded(operationId),
      outcome: z.discriminatedUnion("kind", [
        z.object({ kind: z.literal("unpacked"), image: unpackedImage }),
        z.object({ kind: z.literal("failed"), reason: z.string() }),
        z.object({ kind: z.literal("cancelled") }),
      ]),
    }),
    nothing,
  ),
} as const;

/** Jobs of a pool's unpack queue: executed in parallel by the unpack workers on the pool's host. */
export const unpackJobs = {
  unpack: define(z.object({ ...envelope, ...unpackRequest }), unpackedImage),
} as const;

/** An unpack job's progress: one entry a layer, bottom first. */
export const unpackProgress = z.object({
  layers: z.array(
    z.object({
      digest: branded(digest),
      state: z.enum(["waiting", "unpacking", "unpacked", "cached"]),
      compressedBytes: z.number(),
      readBytes: z.number(),
    }),
  ),
});

export type PoolJobs = typeof poolJobs;
export type UnpackJobs = typeof unpackJobs;
export type Jobs = PoolJobs & UnpackJobs;
export type JobName = keyof Jobs;
export type PoolJobName = keyof PoolJobs;
/** A payload as the handler gets it: parsed. */
export type Payload<Name extends JobName> = z.output<Jobs[Name]["payload"]>;
export type Result<Name extends JobName> = z.output<Jobs[Name]["result"]>;
export type UnpackedImage = z.output<typeof unpackedImage>;
export type UnpackedLayer = z.output<typeof unpackedLayer>;
export type UnpackProgress = z.output<typeof unpackProgress>;

const jobs: Jobs = { ...poolJobs, ...unpackJobs };

export const poolJobNames = Object.keys(poolJobs).filter(isPoolJobName);

export const isJobName = (name: string): name is JobName => Object.hasOwn(jobs, name);

export function isPoolJobName(name: string): name is PoolJobName {
  return Object.hasOwn(poolJobs, name);
}

/** `given` as the payload of the job `name`; invalid_argument lists everything that is wrong with it. */
export function parsePayload<Name extends JobName>(name: Name, given: unknown): Payload<Name> {
  const parsed = jobs[name].payload.safeParse(given);
  if (!parsed.success) throw invalidArgument(`${name}: ${faults(parsed.error)}`, parsed.error);
  return parsed.data as Payload<Name>;
}

/** `given` as the result of the job `name`; anything else is `internal`: some program here answers nonsense. */
export function parseResult<Name extends JobName>(name: Name, given: unknown): Result<Name> {
  const parsed = jobs[name].result.safeParse(given);
  if (!parsed.success) throw internal(`${name} was answered with nonsense: ${faults(parsed.error)}`, parsed.error);
  return parsed.data as Result<Name>;
}

/** Of a job's faults, so many are told. */
const toldFaults = 8;

function faults({ issues }: z.ZodError): string {
  const told = issues
    .slice(0, toldFaults)
    .map(({ path, message }) => (path.length === 0 ? message : `${path.join(".")}: ${message}`));
  return [...told, ...(issues.length > toldFaults ? [`and ${issues.length - toldFaults} more`] : [])].join("; ");
}
