// Room: unpack. Owns the stop before the file systems under a device run full: a sparse file would then lose writes.
import { statfsSync } from "node:fs";
import { resourceExhausted } from "../domain/errors.ts";
import { formatSize } from "../domain/units.ts";
import type { ApplyRequest } from "./protocol.ts";

/** Looking costs a system call; what is written between two looks is small against any sensible limit. */
const intervalBytes = 32 * 2 ** 20;

export class SpaceGuard {
  readonly #guards: ApplyRequest["spaceGuards"];
  #nextBytes = 0;

  constructor(guards: ApplyRequest["spaceGuards"]) {
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
    for (const { path, minFreeBytes } of this.#guards) {
      const { bavail, bsize } = statfsSync(path);
      const freeBytes = bavail * bsize;
      if (freeBytes >= minFreeBytes) continue;
      const [free, least] = [formatSize(freeBytes), formatSize(minFreeBytes)];
      throw resourceExhausted(
        `the file system of ${path} has ${free} free, less than the ${least} that must stay: make room`,
      );
    }
  }
}
