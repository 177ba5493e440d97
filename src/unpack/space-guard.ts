// Room: unpack. Owns the stop before what lies under a device runs full: writes that find no room are lost unsaid.
import { statfsSync } from "node:fs";
import { resourceExhausted } from "../domain/errors.ts";
import { formatSize } from "../domain/units.ts";
import { metadataBlockBytes, readSuperblockSync } from "../system/block/thin-metadata.ts";
import type { SpaceGuardRequest } from "./protocol.ts";

/** Looking costs a system call or two; what is written between two looks is small against any sensible limit. */
const intervalBytes = 32 * 2 ** 20;

export class SpaceGuard {
  readonly #guards: readonly SpaceGuardRequest[];
  #nextBytes = 0;

  constructor(guards: readonly SpaceGuardRequest[]) {
    this.#guards = guards;
  }

  /** Call it often; looks at the start and whenever 32 MiB more were written. Throws resource_exhausted. */
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
        throw resourceExhausted(`${name} has ${free} free, less than the ${least} that must stay: make room`);
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
      const { bavail, bsize } = statfsSync(source.path);
      const whose = owner === "pool" ? "the pool" : "the host's disk";
      return [
        { name: `${whose} (the file system of ${source.path})`, freeBytes: bavail * bsize, leastBytes: minFreeBytes },
      ];
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

/** More than the mappings of what is written between two looks take, with the paths to them. */
const leastMetadataBlocks = (totalBlocks: number): number => Math.min(256, Math.ceil(totalBlocks / 50));
