// Room: drivers. Owns device-mapper's table lines: how one is written, and what one says.
import { failedPrecondition, internal, invalidArgument } from "../../../domain/errors.ts";
import { deviceId } from "../../../domain/identifiers.ts";
import type { DmTable, PoolTable } from "./control.ts";

/** What follows the target's name in a table line (`params` of the library's dm_task_add_target). */
export function tableParameters(table: DmTable): string {
  switch (table.target) {
    case "thin":
      return `${escapePath(table.poolDevice)} ${table.deviceId}`;
    case "thin-pool": {
      const devices = [table.metadataDevice, table.dataDevice].map(escapePath);
      return [...devices, table.blockSectors, table.lowWaterBlocks, table.features.length, ...table.features].join(" ");
    }
  }
}

/** `0 <sectors> <target> <parameters>` */
export const tableLine = (table: DmTable): string => `0 ${table.sectors} ${table.target} ${tableParameters(table)}`;

/** The kernel splits parameters at white space and takes a backslash for an escape (dm_split_args). */
function escapePath(path: string): string {
  if (/[\n\0]/.test(path) || path === "") {
    throw invalidArgument(`${JSON.stringify(path)} cannot stand in a device's table`);
  }
  return path.replaceAll(/[\\\s]/g, (character) => `\\${character}`);
}

/** A line of `dmsetup table`: without the device's name, devices as `major:minor`. */
export function parseTableLine(name: string, line: string): DmTable {
  const { sectors, target, words } = splitLine(name, line);
  switch (target) {
    case "thin": {
      const [poolDevice = "", id] = words;
      return { target, sectors, poolDevice, deviceId: deviceId(number(line, id)) };
    }
    case "thin-pool":
      return { target, sectors, ...parsePool(line, words) };
  }
}

function parsePool(line: string, words: readonly string[]): Omit<PoolTable, "target" | "sectors"> {
  const [metadataDevice = "", dataDevice = "", block, lowWater, count, ...features] = words;
  if (number(line, count) !== features.length) throw unreadable(line);
  return {
    metadataDevice,
    dataDevice,
    blockSectors: number(line, block),
    lowWaterBlocks: number(line, lowWater),
    features,
  };
}

export interface TargetLine {
  readonly sectors: number;
  readonly target: "thin" | "thin-pool";
  readonly words: readonly string[];
}

/**
 * `<start> <sectors> <target> <word> ...`, as table and status have it. `failed_precondition` when the device is of
 * another kind, or has several targets: then another program made it.
 */
export function splitLine(name: string, text: string): TargetLine {
  const [line = "", ...more] = text.split("\n");
  const [start, sectors, target, ...words] = line.trim().split(/\s+/);
  if (more.length > 0 || start !== "0" || (target !== "thin" && target !== "thin-pool")) {
    throw failedPrecondition(`the device ${name} is neither thin nor a thin-pool, but ${JSON.stringify(text)}`);
  }
  return { sectors: number(line, sectors), target, words };
}

/** A whole number in `line`. */
export function number(line: string, word: string | undefined): number {
  if (word === undefined || !/^\d+$/.test(word)) throw unreadable(line);
  return Number(word);
}

export const unreadable = (line: string) => internal(`cannot read what device-mapper says: ${JSON.stringify(line)}`);
