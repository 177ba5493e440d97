// Room: images. Owns the JSON documents of images: their shapes, their limits, and how they are read and verified.
import { z } from "zod";
import { failedPrecondition } from "../domain/errors.ts";
import { type Digest, diffId, digest } from "../domain/identifiers.ts";
import { type ImageFiles, readStart } from "./files.ts";
import type { BlobRange } from "./image.ts";

/** What the OCI distribution specification lets registries limit a manifest to. */
const maxDocumentBytes = 4 << 20;
const maxLayers = 512;
/** Of one index. */
const maxManifests = 4096;

function parsed<T>(parse: (text: string) => T) {
  return z.string().transform((text, context): T => {
    try {
      return parse(text);
    } catch (error) {
      context.addIssue({ code: "custom", message: error instanceof Error ? error.message : String(error) });
      return z.NEVER;
    }
  });
}

const platform = z.object({ os: z.string(), architecture: z.string(), variant: z.string().optional() });

const descriptor = z.object({
  mediaType: z.string(),
  digest: parsed(digest),
  size: z.number().int().nonnegative(),
  annotations: z.record(z.string(), z.string()).nullish(),
  platform: platform.nullish(),
});
export type Descriptor = z.output<typeof descriptor>;

/** Go's encoder writes an empty list as null. */
const list = <Item extends z.ZodType>(item: Item, limit: number) =>
  z
    .array(item)
    .max(limit)
    .nullable()
    .transform((items) => items ?? []);

/** Neither kind may look like the other: one blob that is read as both is an old trick (CVE-2021-41190). */
const absent = z.undefined({ error: "a document must not be both an index and a manifest" });

export const documents = {
  ociLayout: z.object({ imageLayoutVersion: z.string() }),
  index: z.object({ manifests: list(descriptor, maxManifests), layers: absent.optional(), config: absent.optional() }),
  manifest: z.object({
    mediaType: z.string().optional(),
    config: descriptor,
    layers: list(descriptor, maxLayers),
    manifests: absent.optional(),
  }),
  config: z.object({
    os: z.string().optional(),
    architecture: z.string().optional(),
    variant: z.string().optional(),
    rootfs: z.object({ type: z.literal("layers"), diff_ids: list(parsed(diffId), maxLayers) }),
  }),
  dockerManifest: z.array(
    z.object({
      Config: z.string(),
      RepoTags: z.array(z.string()).nullish(),
      Layers: list(z.string(), maxLayers),
    }),
  ),
} as const;

export type ImageConfig = z.output<typeof documents.config>;

/** `bytes` as a document of that shape; `what` names it in the error. */
function parseDocument<Schema extends z.ZodType>(schema: Schema, bytes: Buffer, what: string): z.output<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw failedPrecondition(`${what} is not valid JSON; fetch or build the image again`, error);
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const faults = result.error.issues
    .slice(0, 3)
    .map((issue) => `${issue.path.join(".") || "top level"}: ${issue.message}`);
  throw failedPrecondition(`${what} is not what it should be (${faults.join("; ")}); fetch or build the image again`);
}

/** The bytes of a document, whatever it says. Throws failed_precondition when it is too large to be one. */
export async function readDocumentBytes(range: BlobRange, what: string): Promise<Buffer> {
  if (range.lengthBytes > maxDocumentBytes) {
    throw failedPrecondition(`${what} has ${range.lengthBytes} bytes; the limit is ${maxDocumentBytes}`);
  }
  return readStart(range, range.lengthBytes);
}

export async function readDocument<Schema extends z.ZodType>(
  schema: Schema,
  range: BlobRange,
  what: string,
): Promise<z.output<Schema>> {
  return parseDocument(schema, await readDocumentBytes(range, what), what);
}

export const sha256Of = (bytes: Uint8Array): Digest =>
  digest(`sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`);

/** The name of a blob's file in a layout. A parsed digest holds no path. */
export const blobName = (blob: Digest): string => `blobs/${blob.replace(":", "/")}`;

/** The document that `blob` describes, verified against its size and digest. */
export async function readBlob<Schema extends z.ZodType>(
  files: ImageFiles,
  blob: Descriptor,
  schema: Schema,
  kind: string,
): Promise<z.output<Schema>> {
  const what = `the ${kind} ${blob.digest}`;
  const range = await files.find(blobName(blob.digest));
  if (range === undefined) throw failedPrecondition(`${what} is missing; fetch or build the image again`);
  if (range.lengthBytes !== blob.size) {
    throw failedPrecondition(
      `${what} has ${range.lengthBytes} bytes, not ${blob.size}; fetch or build the image again`,
    );
  }
  const bytes = await readDocumentBytes(range, what);
  const actual = sha256Of(bytes);
  if (actual !== blob.digest) {
    throw failedPrecondition(
      `${what} is damaged: its content has the digest ${actual}; fetch or build the image again`,
    );
  }
  return parseDocument(schema, bytes, what);
}
