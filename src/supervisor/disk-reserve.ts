// Room: supervisor. Owns that a full disk does not lock its operator out: a reserve is kept for it, and released.
import type { Config } from "../config.ts";
import { paths } from "../config.ts";
import { asSnapmillError } from "../domain/errors.ts";
import { formatSize } from "../domain/units.ts";
import type { Logger } from "../logger.ts";
import { adjustReserve, type ReserveChange, reserveBytes } from "../system/file/reserve.ts";

const lookEveryMs = 5_000;

/** Before anything else is done in a state directory: makes room where there is none. `onNotice` hears of it. */
export async function makeRoomToStart(config: Config, onNotice: (sentence: string) => void): Promise<void> {
  const change = await adjustReserve(paths.reserve(config), config.stateDir, false);
  const sentence = sentenceOf(change, config);
  if (sentence !== undefined) onNotice(sentence);
}

/** Keeps a reserve of room from now on, and releases it when the disk is full. */
export function keepRoom(config: Config, log: Logger): Disposable {
  let isLooking = false;
  const look = async () => {
    if (isLooking) return;
    isLooking = true;
    try {
      const sentence = sentenceOf(await adjustReserve(paths.reserve(config), config.stateDir, true), config);
      if (sentence !== undefined) log.warn(sentence);
    } catch (error) {
      log.warn(`the reserve of room could not be kept: ${asSnapmillError(error).message}`);
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
      return `the disk of ${stateDir} is full: the reserve of ${formatSize(reserveBytes)} is released, so that snapshots can be removed`;
    case "full without a reserve":
      return `the disk of ${stateDir} is full, and there is no reserve to release: make room on it`;
    case "made":
    case "none":
      return undefined;
  }
}
