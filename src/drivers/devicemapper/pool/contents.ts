// Room: drivers. Owns what a thin-pool holds, read from its metadata on disk, without a process or an active device.
import { realpath } from "node:fs/promises";
import { internal, unavailable } from "../../../domain/errors.ts";
import type { DeviceId } from "../../../domain/identifiers.ts";
import { findLoops } from "../../../system/block/attached-loops.ts";
import { DirectReader } from "../../../system/block/direct-reads.ts";
import {
  type DetailsNode,
  dataBlockIn,
  lookAtSuperblock,
  metadataBlockBytes,
  parseNode,
  parseNumbersNode,
  parseSuperblock,
  readSuperblockSync,
  type ThinSuperblock,
} from "../../../system/block/thin-metadata.ts";
import { isErrno } from "../../../system/ffi/errno.ts";
import { type DmControl, sectorBytes } from "../control/control.ts";
import type { PoolDefinition } from "./definition.ts";
import { filesIn } from "./storage.ts";

/**
 * Each query is a few reads of 4 KiB, made synchronously: handing them to other threads would take many times as long. A
 * commit during the query is noticed, and the query repeated.
 */
const looks = 8;

/** The block device of the pool's metadata; undefined while the file that it is made of is not attached. */
export async function metadataDeviceOf({ storage }: PoolDefinition): Promise<string | undefined> {
  if (storage.kind === "devices") return storage.metadataDevice;
  try {
    const [loop] = await findLoops(await realpath(filesIn(storage.directory).metadata));
    return loop?.path;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** For a pool that commits continually: a metadata snapshot, which does not change. */
export interface SnapshotSource {
  readonly control: DmControl;
  readonly poolDevice: string;
}

/**
 * The devices of one pool by ID, as of its last commit. Every successful message to the pool has committed, and so has
 * every flush of a device; other writes become visible within a second.
 */
export class PoolContents {
  readonly #path: string;
  readonly #snapshotSource: SnapshotSource | undefined;

  /** Without `snapshotSource`, a query of a pool under constant change can fail with `unavailable`. */
  constructor(path: string, snapshotSource?: SnapshotSource) {
    this.#path = path;
    this.#snapshotSource = snapshotSource;
  }

  superblock(): ThinSuperblock {
    return readSuperblockSync(this.#path);
  }

  /** Bytes that the device maps, shared ones included; undefined when there is no such device. */
  mappedBytes(deviceId: DeviceId): Promise<number | undefined> {
    return this.#consistently((reader, superblock) => {
      const mappedBlocks = findMapped(reader, superblock.detailsRoot, deviceId);
      return mappedBlocks === undefined ? undefined : mappedBlocks * superblock.dataBlockSectors * sectorBytes;
    });
  }

  async has(deviceId: DeviceId): Promise<boolean> {
    return (await this.mappedBytes(deviceId)) !== undefined;
  }

  all(): Promise<ReadonlySet<DeviceId>> {
    return this.#consistently((reader, superblock) => {
      const found = new Set<DeviceId>();
      for (const leaf of leaves(reader, superblock.detailsRoot)) {
        for (const deviceId of leaf.deviceIds) found.add(deviceId as DeviceId);
      }
      return found;
    });
  }

  /** The position of a device's first block on the data device; undefined when it was never written. */
  offsetOfHead(deviceId: DeviceId): Promise<number | undefined> {
    return this.#consistently((reader, superblock) => {
      const blocks = findNumber(reader, superblock.mappingRoot, deviceId);
      const first = blocks === undefined ? undefined : findNumber(reader, Number(blocks), 0);
      return first === undefined ? undefined : dataBlockIn(first) * superblock.dataBlockSectors * sectorBytes;
    });
  }

  /**
   * Metadata is not overwritten before the next commit but one: when the superblock is unchanged afterwards, all that was
   * read belongs to it.
   */
  async #consistently<T>(look: Look<T>): Promise<T> {
    using reader = new DirectReader(this.#path);
    for (let count = 0; count < looks; count++) {
      const before = readSuperblock(reader);
      const seen = attempt(() => look(reader, before));
      if (readSuperblock(reader).checksum !== before.checksum) continue;
      if ("value" in seen) return seen.value;
      throw internal(`the thin-pool's metadata on ${this.#path} cannot be read`, seen.error);
    }
    return await this.#heldStill(reader, look);
  }

  async #heldStill<T>(reader: DirectReader, look: Look<T>): Promise<T> {
    if (this.#snapshotSource === undefined) {
      throw unavailable(`the thin-pool on ${this.#path} changes too fast to be looked at; try again`);
    }
    const { control, poolDevice } = this.#snapshotSource;
    await control.message(poolDevice, { kind: "reserve_metadata_snap" });
    try {
      const status = await control.status(poolDevice);
      const root = status.target === "thin-pool" ? status.heldMetadataRoot : undefined;
      if (root === undefined) throw internal(`the thin-pool ${poolDevice} holds no metadata snapshot`);
      return look(reader, parseSuperblock(readBlock(reader, root)));
    } finally {
      await control.message(poolDevice, { kind: "release_metadata_snap" });
    }
  }
}

type Look<T> = (reader: DirectReader, superblock: ThinSuperblock) => T;
type Leaf = Extract<DetailsNode, { kind: "leaf" }>;

/** A block that was read while it was written may have any content. */
function attempt<T>(look: () => T): { readonly value: T } | { readonly error: unknown } {
  try {
    return { value: look() };
  } catch (error) {
    return { error };
  }
}

const readBlock = (reader: DirectReader, number: number): Buffer =>
  reader.read(number * metadataBlockBytes, metadataBlockBytes);

const readSuperblock = (reader: DirectReader): ThinSuperblock => lookAtSuperblock(() => readBlock(reader, 0));

const readNode = (reader: DirectReader, number: number): DetailsNode => parseNode(readBlock(reader, number), number);

function findMapped(reader: DirectReader, root: number, deviceId: DeviceId): number | undefined {
  const node = readNode(reader, root);
  switch (node.kind) {
    case "internal": {
      const index = node.deviceIds.findLastIndex((first) => first <= deviceId);
      const child = node.children[index];
      return child === undefined ? undefined : findMapped(reader, child, deviceId);
    }
    case "leaf":
      return node.details[node.deviceIds.indexOf(deviceId)]?.mappedBlocks;
  }
}

function findNumber(reader: DirectReader, root: number, key: number): bigint | undefined {
  const { isInternal, keys, values } = parseNumbersNode(readBlock(reader, root), root);
  if (!isInternal) return values[keys.indexOf(key)];
  const child = values[keys.findLastIndex((first) => first <= key)];
  return child === undefined ? undefined : findNumber(reader, Number(child), key);
}

function* leaves(reader: DirectReader, root: number): Generator<Leaf> {
  const node = readNode(reader, root);
  switch (node.kind) {
    case "internal":
      for (const child of node.children) yield* leaves(reader, child);
      break;
    case "leaf":
      yield node;
  }
}
