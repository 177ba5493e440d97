// Room: drivers. Owns reading what device-mapper says of devices: information columns, status, versions.
import type { DmInfo, PoolMode, PoolStatus, ThinStatus } from "./control.ts";
import { unescapeName } from "./names.ts";
import { number, splitLine, unreadable } from "./tables.ts";

/** The columns that `parseInfo` reads. The name comes last, and no name has a "/". */
export const infoColumns = "attr,major,minor,open,events,name";
export const infoSeparator = "/";

/** Lines of `dmsetup info --columns --noheadings -o <infoColumns>`; names are taken as the kernel has them. */
export const parseInfo = (text: string): DmInfo[] =>
  text
    .split("\n")
    .filter((line) => line !== "" && line !== "No devices found")
    .map(parseInfoLine);

/** `attr` is `L` or `-` (live table), `I` or `-` (inactive table), `s` or `-` (suspended), `w` or `r`. */
function parseInfoLine(line: string): DmInfo {
  const [attributes = "", major, minor, open, events, name = ""] = line.trimEnd().split(infoSeparator);
  if (!/^[L-][I-][s-][wr]/.test(attributes) || name === "") throw unreadable(line);
  return {
    name: unescapeName(name),
    major: number(line, major),
    minor: number(line, minor),
    openCount: number(line, open),
    isSuspended: attributes[2] === "s",
    isReadOnly: attributes[3] === "r",
    hasLiveTable: attributes[0] === "L",
    hasInactiveTable: attributes[1] === "I",
    eventNumber: number(line, events),
  };
}

/** A line of `dmsetup status`, without the device's name. `Fail` and `Error` are states of a device, not failures. */
export function parseStatus(name: string, line: string): ThinStatus | PoolStatus {
  const { target, words } = splitLine(name, line);
  return target === "thin" ? parseThinStatus(line, words) : parsePoolStatus(line, words);
}

/** `<mapped sectors> <highest mapped sector or ->`; `Fail`, `Error`, and `-` (not set up) when out of service. */
function parseThinStatus(line: string, words: readonly string[]): ThinStatus {
  const [mapped] = words;
  if (mapped === "Fail" || mapped === "Error" || mapped === "-") {
    return { target: "thin", hasFailed: true, mappedSectors: 0 };
  }
  return { target: "thin", hasFailed: false, mappedSectors: number(line, mapped) };
}

const failedPool: PoolStatus = {
  target: "thin-pool",
  mode: "failed",
  needsCheck: false,
  transactionId: 0,
  usedMetadataBlocks: 0,
  totalMetadataBlocks: 0,
  usedDataBlocks: 0,
  totalDataBlocks: 0,
  heldMetadataRoot: undefined,
};

/**
 * `<transaction ID> <used>/<total metadata blocks> <used>/<total data blocks> <held root or -> <mode> <discards>
 * <when full> <needs_check or -> <low water of metadata>`; `Fail` when the pool is out of service, `Error` when its
 * metadata cannot be read.
 */
function parsePoolStatus(line: string, words: readonly string[]): PoolStatus {
  const [transaction, metadata, data, held, mode, ...rest] = words;
  if (transaction === "Fail" || transaction === "Error") return failedPool;
  const [usedMetadataBlocks, totalMetadataBlocks] = parseShare(line, metadata);
  const [usedDataBlocks, totalDataBlocks] = parseShare(line, data);
  return {
    target: "thin-pool",
    mode: parseMode(line, mode),
    needsCheck: rest.includes("needs_check"),
    transactionId: number(line, transaction),
    usedMetadataBlocks,
    totalMetadataBlocks,
    usedDataBlocks,
    totalDataBlocks,
    heldMetadataRoot: held === "-" ? undefined : number(line, held),
  };
}

function parseShare(line: string, word: string | undefined): [used: number, total: number] {
  const [used, total] = word?.split("/") ?? [];
  return [number(line, used), number(line, total)];
}

function parseMode(line: string, word: string | undefined): PoolMode {
  switch (word) {
    case "rw":
    case "ro":
    case "out_of_data_space":
      return word;
    default:
      throw unreadable(line);
  }
}

/** The output of `dmsetup version`. */
export function parseVersion(text: string): { readonly library: string; readonly driver: string } {
  const library = /^Library version:\s+(\S+)/m.exec(text)?.[1];
  const driver = /^Driver version:\s+(\S+)/m.exec(text)?.[1];
  if (library === undefined || driver === undefined) throw unreadable(text);
  return { library, driver };
}

/** Lines of `dmsetup targets`: `thin-pool        v1.22.0`. */
export const parseTargets = (text: string): ReadonlyMap<string, string> =>
  new Map(
    text
      .split("\n")
      .map((line) => /^(\S+)\s+v(\d\S*)$/.exec(line))
      .filter((match) => match !== null)
      .map(([, target = "", version = ""]) => [target, version]),
  );
