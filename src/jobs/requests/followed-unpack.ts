// Room: jobs. Owns what an unpack tells its caller on its way, as far as it can be read.
import { type UnpackProgress, unpackProgress } from "../contract.ts";

/** For a worker's reports: what is none is left out. */
export function parsing(onProgress: ((progress: UnpackProgress) => void) | undefined) {
  if (onProgress === undefined) return undefined;
  return (given: unknown): void => {
    const parsed = unpackProgress.safeParse(given);
    if (parsed.success) onProgress(parsed.data);
  };
}
