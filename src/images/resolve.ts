// Room: images. Owns the way from a reference and a platform to an image that is ready to be unpacked.
import { failedPrecondition, invalidArgument, SnapmillError } from "../domain/errors.ts";
import type { Digest } from "../domain/identifiers.ts";
import { visible } from "../domain/quoted.ts";
import type { RegistryOptions } from "../domain/registry-options.ts";
import { isErrno } from "../system/ffi/errno.ts";
import { openArchive } from "./archive.ts";
import { resolveDockerArchive } from "./docker-archive.ts";
import { DocumentReader } from "./document-reader.ts";
import { type ImageFiles, openDirectory } from "./files.ts";
import type { LayerBlob, ResolvedImage } from "./image.ts";
import { type FoundImage, resolveLayout } from "./layout.ts";
import { type Platform, parsePlatform } from "./platform.ts";
import { type FileReference, formatReference, parseReference } from "./reference.ts";
import type { Registries } from "./registry/registries.ts";

export interface OpenFilesOptions {
  readonly signal?: AbortSignal | undefined;
  /** Where a compressed archive is decompressed to, as a file without a name. Default: `/var/tmp`. */
  readonly tempDir?: string | undefined;
}

export interface OpenImageOptions extends OpenFilesOptions {
  readonly registries: Registries;
  readonly registry: RegistryOptions;
}

function openFiles({ transport, path }: FileReference, options: OpenFilesOptions): Promise<ImageFiles> {
  switch (transport) {
    case "oci":
      return openDirectory(path);
    case "oci-archive":
    case "docker-archive":
      return openArchive(path, { tempDir: options.tempDir ?? "/var/tmp", signal: options.signal });
  }
}

function findImage(reader: DocumentReader, reference: FileReference, wanted: Platform): Promise<FoundImage> {
  switch (reference.transport) {
    case "oci":
    case "oci-archive":
      return resolveLayout(reader, reference.selector, wanted);
    case "docker-archive":
      return resolveDockerArchive(reader, reference.selector, wanted);
  }
}

/** A read error that is caused by the image's files. */
const fileErrors = [
  "EACCES",
  "EIO",
  "EISDIR",
  "ELOOP",
  "ENAMETOOLONG",
  "ENOENT",
  "ENOTDIR",
  "EPERM",
  "ESTALE",
] as const;
/** Limits a message: it goes through the queue and onto terminals, and may quote an image's documents. */
const maxMessageLength = 2000;

/** Adds the image's name to an error from below. */
async function naming<T>(reference: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // The caller's own reason: the image is not at fault.
    signal?.throwIfAborted();
    if (error instanceof Error && isErrno(error, ...fileErrors))
      throw failedPrecondition(`image ${reference}: it cannot be read: ${error.message}`, error);
    if (!(error instanceof SnapmillError)) throw error;
    const { message } = error;
    const told = message.length > maxMessageLength ? `${message.slice(0, maxMessageLength)}…` : message;
    throw new SnapmillError(error.code, `image ${reference}: ${visible(told)}`, { cause: error });
  }
}

async function openFileImage(
  reference: FileReference,
  name: string,
  wanted: Platform,
  options: OpenFilesOptions,
): Promise<ResolvedImage> {
  await using cleanup = new AsyncDisposableStack();
  const files = cleanup.use(await openFiles(reference, options));
  const found = await findImage(new DocumentReader(files, options.signal), reference, wanted);
  const held = cleanup.move();
  return { ...found, reference: name, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

/**
 * The digest that a registry says `reference` stands for, without sending anything. Undefined: it cannot be told, or the
 * reference is of a file. Errors: invalid_argument, failed_precondition, and the reason of `signal`.
 */
export async function digestOfReference(reference: string, options: OpenImageOptions): Promise<Digest | undefined> {
  const parsed = parseReference(reference);
  if (parsed.transport !== "docker") return undefined;
  const { signal, registries, registry } = options;
  return await naming(formatReference(parsed), signal, () => registries.digestOf(parsed.name, registry, signal));
}

/**
 * Finds the image that `reference` names for `platform` (`os/architecture[/variant]`), and makes sure that all of it is
 * there: manifest and configuration match their digests; layers exist, have their sizes and start as layers do. Of an
 * image in a registry that is seen when its layers are fetched. The layers' digests are verified when they are unpacked.
 * Dispose of the image when done: an archive's ranges are good only until then.
 * Errors: invalid_argument (reference, platform), not_found (path, tag, platform), failed_precondition (damaged, not
 * supported, or refused by the registry), resource_exhausted (no room to decompress), deadline_exceeded (the registry
 * failed again and again); when `signal` fires, its reason.
 */
export async function openImage(
  reference: string,
  platform: string,
  options?: OpenFilesOptions,
): Promise<ResolvedImage>;
export async function openImage(
  reference: string,
  platform: string,
  options: OpenImageOptions,
): Promise<ResolvedImage<LayerBlob>>;
export async function openImage(
  reference: string,
  platform: string,
  options: OpenFilesOptions & Partial<OpenImageOptions> = {},
): Promise<ResolvedImage<LayerBlob>> {
  const parsed = parseReference(reference);
  const wanted = parsePlatform(platform);
  const name = formatReference(parsed);
  const { signal, registries, registry = {} } = options;
  signal?.throwIfAborted();
  return naming(name, signal, async () => {
    if (parsed.transport !== "docker") return openFileImage(parsed, name, wanted, options);
    if (registries === undefined) throw invalidArgument("it is in a registry, and only files are read here");
    const found = await registries.resolve(parsed.name, wanted, registry, signal);
    return { ...found, reference: name, [Symbol.asyncDispose]: () => Promise.resolve() };
  });
}
