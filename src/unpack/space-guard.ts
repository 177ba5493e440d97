// Room: unpack. Owns the stop before the pool or the host's disk is full: writes that find no space are lost silently.
import { resourceExhausted } from "../domain/errors.ts";
import { formatSize } from "../domain/units.ts";
import { metadataBlockBytes, readSuperblockSync } from "../system/block/thin-metadata.ts";
import { spaceOfSync } from "../system/file/space.ts";
import type { SpaceGuardRequest } from "./protocol.ts";

/** A check costs a system call or two; what is written between two checks is small against any sensible limit. */
const intervalBytes = 32 * 2 ** 20;

export class SpaceGuard {
  readonly #guards: readonly SpaceGuardRequest[];
  #nextBytes = 0;

  constructor(guards: readonly SpaceGuardRequest[]) {
    this.#guards = guards;
  }

  /** Call it often: it checks at the start and after every 32 MiB written. Throws resource_exhausted. */
  written(bytes: number): void {
    if (bytes < this.#nextBytes) return;
    this.#nextBytes = bytes + intervalBytes;
    this.check();
  }

  /** Throws resource_exhausted when too little is free somewhere. */
  check(): void {
    for (const guard of this.#guards) {
      for (const { name, freeBytes, leastBytes } of spacesOf(guard)) {
        if (freeBytes >= leastBytes) continue;
        const [free, least] = [formatSize(freeBytes), formatSize(leastBytes)];
        throw resourceExhausted(`${name} has ${free} free, less than the ${least} that must stay free: make room`);
      }
    }
  }
}

interface GuardedSpace {
  readonly name: string;
  readonly freeBytes: number;
  readonly leastBytes: number;
}

function spacesOf({ source, owner, minFreeBytes }: SpaceGuardRequest): GuardedSpace[] {
  switch (source.kind) {
    case "file-system": {
      const { freeBytes } = spaceOfSync(source.path);
      const whose = owner === "pool" ? "the pool" : "the host's disk";
      return [{ name: `${whose} (the file system of ${source.path})`, freeBytes, leastBytes: minFreeBytes }];
    }
    case "thin-pool": {
      const { data, dataBlockSectors, metadata } = readSuperblockSync(source.metadataDevice);
      const dataBytes = data.free * dataBlockSectors * 512;
      return [
        { name: "the data of the pool", freeBytes: dataBytes, leastBytes: minFreeBytes },
        {
          name: "the metadata of the pool",
          freeBytes: metadata.free * metadataBlockBytes,
          leastBytes: leastMetadataBlocks(metadata.total) * metadataBlockBytes,
        },
      ];
    }
  }
}

/** More than the mappings of what is written between two checks take, with the B-tree nodes above them. */
const leastMetadataBlocks = (totalBlocks: number): number => Math.min(256, Math.ceil(totalBlocks / 50));
