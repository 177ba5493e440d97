// Room: images. Owns the random access to the members of a tar archive: an index of it, nothing is extracted.
import { type FileHandle, open } from "node:fs/promises";
import { posix } from "node:path";
import { failedPrecondition, notFound, SnapmillError } from "../domain/errors.ts";
import { decompressArchive } from "./decompressed.ts";
import { contentOf, type ImageFiles, statOf } from "./files.ts";
import type { BlobRange } from "./image.ts";
import { paddedBytes, parsePaxRecords, parseTarHeader, type TarHeader, tarBlockBytes } from "./tar-header.ts";

type Member =
  | { readonly kind: "file"; readonly range: BlobRange }
  /** `target`: the name of another member. */
  | { readonly kind: "link"; readonly target: string }
  | { readonly kind: "unreadable"; readonly why: string };

type Members = ReadonlyMap<string, Member>;

const maxMembers = 100_000;
const maxExtendedHeaderBytes = 1 << 20;
const maxLinks = 8;

/** What extended headers say of the member behind them. */
interface Overrides {
  name?: string;
  linkName?: string;
  sizeBytes?: number;
  isSparse?: boolean;
}

/** "./blobs//x" and "blobs/x" are the same member; a name that leads out of the archive stays as odd as it is. */
const memberName = (name: string): string => posix.normalize(`/${name}`).slice(1).replace(/\/$/, "");

const isExtended = (header: TarHeader): boolean => ["L", "K", "x"].includes(header.typeflag);

function overridesOf(header: TarHeader, body: Buffer, before: Overrides): Overrides {
  const text = () => body.toString("utf8").replace(/\0.*$/s, "");
  if (header.typeflag === "L") return { ...before, name: text() };
  if (header.typeflag === "K") return { ...before, linkName: text() };
  const overrides: Overrides = { ...before };
  for (const [keyword, value] of parsePaxRecords(body)) {
    if (keyword === "path" || keyword === "GNU.sparse.name") overrides.name = value.toString("utf8");
    if (keyword === "linkpath") overrides.linkName = value.toString("utf8");
    if (keyword === "size") overrides.sizeBytes = Number(value.toString("latin1"));
    if (keyword.startsWith("GNU.sparse.")) overrides.isSparse = true;
  }
  return overrides;
}

interface OpenTar {
  readonly handle: FileHandle;
  readonly path: string;
  readonly lengthBytes: number;
  /** What the user calls it: `path` may be a temporary file. */
  readonly archive: string;
}

interface WalkedMember {
  readonly header: TarHeader;
  readonly overrides: Overrides;
  readonly name: string;
  readonly range: BlobRange;
}

async function readExactly({ handle, archive }: OpenTar, position: number, lengthBytes: number): Promise<Buffer> {
  const buffer = Buffer.alloc(lengthBytes);
  const { bytesRead } = await handle.read(buffer, 0, lengthBytes, position);
  if (bytesRead < lengthBytes)
    throw failedPrecondition(`${archive} ends in the middle of a tar header; fetch it again`);
  return buffer;
}

/** The header at `position` and where its content lies, checked to end inside the archive. */
async function memberAt(tar: OpenTar, position: number, overrides: Overrides): Promise<WalkedMember | undefined> {
  const header = parseTarHeader(await readExactly(tar, position, tarBlockBytes));
  if (header === undefined) return undefined;
  const name = memberName(overrides.name ?? header.name.toString("utf8"));
  const offsetBytes = position + tarBlockBytes;
  const lengthBytes = isExtended(header) ? header.sizeBytes : (overrides.sizeBytes ?? header.sizeBytes);
  if (!Number.isSafeInteger(lengthBytes) || lengthBytes < 0 || offsetBytes + lengthBytes > tar.lengthBytes) {
    throw failedPrecondition(`${tar.archive} ends in the middle of its member ${JSON.stringify(name)}; fetch it again`);
  }
  return { header, overrides, name, range: { path: tar.path, offsetBytes, lengthBytes } };
}

/** All members but extended headers, each with what those said of it. */
async function* walk(tar: OpenTar): AsyncGenerator<WalkedMember> {
  let overrides: Overrides = {};
  for (let position = 0; position < tar.lengthBytes; ) {
    const member = await memberAt(tar, position, overrides);
    if (member === undefined) return;
    const { offsetBytes, lengthBytes } = member.range;
    if (isExtended(member.header)) {
      if (lengthBytes > maxExtendedHeaderBytes) {
        throw failedPrecondition(`${tar.archive} has an extended header of ${lengthBytes} bytes`);
      }
      overrides = overridesOf(member.header, await readExactly(tar, offsetBytes, lengthBytes), overrides);
    } else {
      yield member;
      overrides = {};
    }
    position = offsetBytes + paddedBytes(lengthBytes);
  }
}

/** Undefined for what the index has no use for: directories and global headers. */
function memberOf({ header, overrides, name, range }: WalkedMember): Member | undefined {
  const linkName = overrides.linkName ?? header.linkName.toString("utf8");
  switch (header.typeflag) {
    case "0":
    case "7":
      return overrides.isSparse ? { kind: "unreadable", why: "is stored as a sparse file" } : { kind: "file", range };
    case "1":
      return { kind: "link", target: memberName(linkName) };
    case "2":
      return {
        kind: "link",
        target: memberName(linkName.startsWith("/") ? linkName : posix.join(posix.dirname(name), linkName)),
      };
    case "5":
    case "g":
      return undefined;
    default:
      return { kind: "unreadable", why: "is not a regular file" };
  }
}

/** The members of the tar at `path`; of several with one name the last counts, as it does for tar itself. */
async function indexMembers(path: string, archive: string, signal: AbortSignal | undefined): Promise<Members> {
  await using handle = await open(path, "r");
  const members = new Map<string, Member>();
  for await (const walked of walk({ handle, path, archive, lengthBytes: (await handle.stat()).size })) {
    signal?.throwIfAborted();
    const member = memberOf(walked);
    if (member !== undefined) members.set(walked.name, member);
    if (members.size > maxMembers) throw failedPrecondition(`${archive} has more than ${maxMembers} members`);
  }
  return members;
}

/** Follows links from member to member: old archives of `docker save` store a shared layer once. */
function findMember(members: Members, archive: string, name: string): BlobRange | undefined {
  let current = memberName(name);
  for (let hops = 0; hops <= maxLinks; hops += 1) {
    const member = members.get(current);
    if (member === undefined) return undefined;
    switch (member.kind) {
      case "file":
        return member.range;
      case "unreadable":
        throw failedPrecondition(`the member ${JSON.stringify(current)} of ${archive} ${member.why}`);
      case "link":
        current = member.target;
    }
  }
  throw failedPrecondition(`the member ${JSON.stringify(name)} of ${archive} is a link that leads round in a circle`);
}

async function indexOrExplain(path: string, archive: string, signal: AbortSignal | undefined): Promise<Members> {
  try {
    return await indexMembers(path, archive, signal);
  } catch (error) {
    if (!(error instanceof SnapmillError) || error.message.includes(archive)) throw error;
    throw failedPrecondition(`${archive} is no tar archive, or a damaged one: ${error.message}`, error);
  }
}

export interface ArchiveOptions {
  /** Where a compressed archive is decompressed to. */
  readonly tempDir: string;
  readonly signal: AbortSignal | undefined;
}

/** The members of the tar archive at `archive`, which may be compressed with gzip or zstd. */
export async function openArchive(archive: string, { tempDir, signal }: ArchiveOptions): Promise<ImageFiles> {
  const found = await statOf(archive);
  if (found === undefined) throw notFound(`there is no file ${archive}`);
  if (!found.isFile())
    throw failedPrecondition(`${archive} is no file; for the directory of an OCI layout use oci:DIR`);
  const compression = await contentOf({ path: archive, offsetBytes: 0, lengthBytes: found.size });
  if (compression === "foreign") {
    throw failedPrecondition(`${archive} is compressed in a way that is not supported; decompress it first`);
  }
  await using cleanup = new AsyncDisposableStack();
  let path = archive;
  if (compression !== "none") path = cleanup.use(await decompressArchive(archive, compression, tempDir, signal)).path;
  const members = await indexOrExplain(path, archive, signal);
  const held = cleanup.move();
  return {
    find: async (name) => findMember(members, archive, name),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}
