// Room: drivers. Owns what a thin-pool holds, read from its metadata on disk: no process, and nothing has to be active.
import type { FileHandle } from "node:fs/promises";
import { realpath } from "node:fs/promises";
import { internal, unavailable } from "../../domain/errors.ts";
import type { DeviceId } from "../../domain/identifiers.ts";
import { openDirect, readDirect } from "../../system/direct.ts";
import { isErrno } from "../../system/errno.ts";
import { findLoops } from "../../system/loops.ts";
import {
  type DetailsNode,
  lookAtSuperblock,
  metadataBlockBytes,
  parseNode,
  parseSuperblock,
  type ThinSuperblock,
} from "../../system/thin-metadata.ts";
import { type DmControl, sectorBytes } from "./control.ts";
import type { PoolDefinition } from "./definition.ts";
import { filesIn } from "./pool-storage.ts";

/** Each look is at most a few reads of 4 KiB; a commit in between is seen, and the look taken again. */
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

/** Needs for a pool that changes without a pause: a metadata snapshot, which stands still. */
export interface Stillness {
  readonly control: DmControl;
  readonly poolDevice: string;
}

/**
 * The devices of one pool by ID, as of its last commit. Every message to the pool that succeeded has committed, and so
 * has every flush of a device; what is written otherwise shows within a second.
 */
export class PoolContents {
  readonly #path: string;
  readonly #stillness: Stillness | undefined;

  /** Without `stillness`, a look at a pool under constant change can end in `unavailable`. */
  constructor(path: string, stillness?: Stillness) {
    this.#path = path;
    this.#stillness = stillness;
  }

  async superblock(): Promise<ThinSuperblock> {
    await using handle = await openDirect(this.#path);
    return await readSuperblock(handle);
  }

  /** Bytes that the device maps, shared ones included; undefined when there is no such device. */
  mappedBytes(deviceId: DeviceId): Promise<number | undefined> {
    return this.#consistently(async (handle, superblock) => {
      const mappedBlocks = await findMapped(handle, superblock.detailsRoot, deviceId);
      return mappedBlocks === undefined ? undefined : mappedBlocks * superblock.dataBlockSectors * sectorBytes;
    });
  }

  async has(deviceId: DeviceId): Promise<boolean> {
    return (await this.mappedBytes(deviceId)) !== undefined;
  }

  all(): Promise<ReadonlySet<DeviceId>> {
    return this.#consistently(async (handle, superblock) => {
      const found = new Set<DeviceId>();
      for await (const leaf of leaves(handle, superblock.detailsRoot)) {
        for (const deviceId of leaf.deviceIds) found.add(deviceId as DeviceId);
      }
      return found;
    });
  }

  /**
   * What is read stands still from one commit to the next but one: when the superblock is the same afterwards, all that
   * was read belongs to it.
   */
  async #consistently<T>(look: Look<T>): Promise<T> {
    await using handle = await openDirect(this.#path);
    for (let count = 0; count < looks; count++) {
      const before = await readSuperblock(handle);
      const [seen] = await Promise.allSettled([look(handle, before)]);
      const after = await readSuperblock(handle);
      if (after.checksum !== before.checksum) continue;
      if (seen.status === "fulfilled") return seen.value;
      throw internal(`the thin-pool's metadata on ${this.#path} cannot be read`, seen.reason);
    }
    return await this.#heldStill(handle, look);
  }

  async #heldStill<T>(handle: FileHandle, look: Look<T>): Promise<T> {
    if (this.#stillness === undefined) {
      throw unavailable(`the thin-pool on ${this.#path} changes too fast to be looked at; try again`);
    }
    const { control, poolDevice } = this.#stillness;
    await control.message(poolDevice, { kind: "reserve_metadata_snap" });
    try {
      const status = await control.status(poolDevice);
      const root = status.target === "thin-pool" ? status.heldMetadataRoot : undefined;
      if (root === undefined) throw internal(`the thin-pool ${poolDevice} holds no metadata snapshot`);
      return await look(handle, parseSuperblock(await readBlock(handle, root)));
    } finally {
      await control.message(poolDevice, { kind: "release_metadata_snap" });
    }
  }
}

type Look<T> = (handle: FileHandle, superblock: ThinSuperblock) => Promise<T>;
type Leaf = Extract<DetailsNode, { kind: "leaf" }>;

const readBlock = (handle: FileHandle, number: number): Promise<Buffer> =>
  readDirect(handle, number * metadataBlockBytes, metadataBlockBytes);

const readSuperblock = (handle: FileHandle): Promise<ThinSuperblock> => lookAtSuperblock(() => readBlock(handle, 0));

const readNode = async (handle: FileHandle, number: number): Promise<DetailsNode> =>
  parseNode(await readBlock(handle, number), number);

async function findMapped(handle: FileHandle, root: number, deviceId: DeviceId): Promise<number | undefined> {
  const node = await readNode(handle, root);
  switch (node.kind) {
    case "internal": {
      const index = node.deviceIds.findLastIndex((first) => first <= deviceId);
      const child = node.children[index];
      return child === undefined ? undefined : await findMapped(handle, child, deviceId);
    }
    case "leaf":
      return node.details[node.deviceIds.indexOf(deviceId)]?.mappedBlocks;
  }
}

async function* leaves(handle: FileHandle, root: number): AsyncGenerator<Leaf> {
  const node = await readNode(handle, root);
  switch (node.kind) {
    case "internal":
      for (const child of node.children) yield* leaves(handle, child);
      break;
    case "leaf":
      yield node;
  }
}
