// Room: images. Owns the schemas of an image's JSON documents, read as Go reads them: null is the same as absent.
import { z } from "zod";
import { failedPrecondition } from "../domain/errors.ts";
import { diffId, digest } from "../domain/identifiers.ts";
import { parsing } from "../domain/parsing.ts";
import { quoted, quotedUnlessPlain } from "../domain/quoted.ts";

const maxLayers = 512;

const parsed = <T>(parse: (text: string) => T) => z.string().transform(parsing(parse));

const optional = <Schema extends z.ZodType>(schema: Schema) =>
  schema.nullish().transform((value) => value ?? undefined);

/** Go's encoder writes an empty list as null. */
const list = <Item extends z.ZodType>(item: Item, limit: number) =>
  z
    .array(item)
    .max(limit)
    .nullish()
    .transform((items) => items ?? []);

const text = z
  .string()
  .nullish()
  .transform((value) => value ?? "");

/** Neither kind may look like the other: one blob that is read as both is an old trick (CVE-2021-41190). */
const absent = z.null({ error: "a document must not be both an index and a manifest" }).optional();

const descriptor = z.object({
  /** Empty when it is absent. */
  mediaType: text,
  digest: parsed(digest),
  size: z.number().int().nonnegative(),
  /** The content itself, in base64. */
  data: optional(z.string()),
});
export type Descriptor = z.output<typeof descriptor>;

export const documents = {
  descriptor,
  ociLayout: z.object({ imageLayoutVersion: text }),
  /** An entry is validated only when it is chosen: beside an image there may be anything. */
  index: z.object({ manifests: list(z.unknown(), Number.POSITIVE_INFINITY), layers: absent, config: absent }),
  manifest: z.object({
    mediaType: text,
    config: descriptor,
    layers: list(descriptor, maxLayers),
    manifests: absent,
  }),
  config: z.object({
    os: text,
    architecture: text,
    variant: optional(z.string()),
    rootfs: z
      .object({ type: text.pipe(z.enum(["layers", ""])), diff_ids: list(parsed(diffId), maxLayers) })
      .nullish()
      .transform((rootfs) => rootfs ?? { type: "" as const, diff_ids: [] }),
  }),
  /** An image is validated only when it is chosen. */
  dockerManifest: list(z.unknown(), Number.POSITIVE_INFINITY),
  dockerImage: z.object({ Config: z.string().min(1), Layers: list(z.string(), maxLayers) }),
} as const;

export type ImageConfig = z.output<typeof documents.config>;

/** `value` as a document of that shape; `what` names it in the error, failed_precondition. A whole one may be null. */
export function judge<Schema extends z.ZodType>(schema: Schema, value: unknown, what: string): z.output<Schema> {
  const result = schema.safeParse(value ?? (schema instanceof z.ZodObject ? {} : value));
  if (result.success) return result.data;
  const faults = result.error.issues
    .slice(0, 3)
    .map(
      ({ path, message }) =>
        `${path.length === 0 ? "top level" : quotedUnlessPlain(path.join("."))}: ${faultIn(message)}`,
    );
  throw failedPrecondition(`${what} is not what it should be (${faults.join("; ")}); fetch or build the image again`);
}

const maxFaultLength = 300;

/** The schema's message in plain English. */
function faultIn(message: string): string {
  if (/ received (?:undefined|null)$/.test(message)) return "it is missing";
  const fault = message.replace(/^Invalid input: /, "");
  return fault.length > maxFaultLength ? quoted(fault) : fault;
}

/** The fields of a JSON object; none of anything else. */
export const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};

export const textOf = (value: unknown): string => (typeof value === "string" ? value : "");
