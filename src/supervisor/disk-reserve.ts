// Room: supervisor. Owns the disk reserve, which is released when the disk is full, so that snapshots can still be
// removed.
import type { Config } from "../config.ts";
import { paths } from "../config.ts";
import { asSnapmillError } from "../domain/errors.ts";
import { formatSize } from "../domain/units.ts";
import type { Logger } from "../logger.ts";
import { adjustReserve, type ReserveChange, reserveBytes } from "../system/file/reserve.ts";

const lookEveryMs = 5_000;

/**
 * Releases the reserve if the disk is full, and reports that to `onNotice`. Called before any other use of the
 * directory.
 */
export async function makeRoomToStart(config: Config, onNotice: (sentence: string) => void): Promise<void> {
  const change = await adjustReserve(paths.reserve(config), config.stateDir, false);
  const sentence = sentenceOf(change, config);
  if (sentence !== undefined) onNotice(sentence);
}

/** Keeps the reserve until it is disposed of; releases it when the disk is full. */
export function keepRoom(config: Config, log: Logger): Disposable {
  let isLooking = false;
  const look = async () => {
    if (isLooking) return;
    isLooking = true;
    try {
      const sentence = sentenceOf(await adjustReserve(paths.reserve(config), config.stateDir, true), config);
      if (sentence !== undefined) log.warn(sentence);
    } catch (error) {
      log.warn(`the disk reserve could not be kept: ${asSnapmillError(error).message}`);
    } finally {
      isLooking = false;
    }
  };
  void look();
  const timer = setInterval(() => void look(), lookEveryMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

function sentenceOf(change: ReserveChange, { stateDir }: Config): string | undefined {
  switch (change) {
    case "released":
      return `the disk of ${stateDir} is full: a reserve of ${formatSize(reserveBytes)} was released so that snapshots can be removed`;
    case "full without a reserve":
      return `the disk of ${stateDir} is full, and there is no reserve to release: free some space on it`;
    case "made":
    case "none":
      return undefined;
  }
}
