// Room: domain. Owns who holds a block device, and how an error says it.

/** The process behind a holder. */
export interface HolderProcess {
  readonly pid: number;
  /** Its name and command line, shortened, with control characters escaped. */
  readonly command: string;
  readonly startedAtMs: number;
}

/**
 * Something that keeps a block device in use: a mount (in a mount namespace that other processes may share), an open
 * descriptor, or a device on top of it.
 */
export type Holder =
  | {
      readonly kind: "mount";
      readonly mountPoint: string;
      /** The inode of the mount namespace, as /proc/PID/ns/mnt shows it. */
      readonly namespace: number;
      readonly isOwnNamespace: boolean;
      /** The first process of a namespace that is not the own one. */
      readonly process?: HolderProcess;
    }
  | { readonly kind: "open"; readonly process: HolderProcess }
  | { readonly kind: "device"; readonly device: string; readonly madeBy: DeviceMaker };

/** What can stand on a block device: a device of device-mapper, a loop device, or another of the kernel's (md, bcache). */
export const deviceMakers = ["device-mapper", "loop", "other"] as const;
export type DeviceMaker = (typeof deviceMakers)[number];

/**
 * What was found of a device's holders, and how many more there are than `holders` names. Not complete: the time or the
 * number of entries that was allowed did not suffice.
 */
export interface FoundHolders {
  readonly holders: readonly Holder[];
  readonly more: number;
  readonly isComplete: boolean;
}

export const noHolders: FoundHolders = { holders: [], more: 0, isComplete: true };

const shownHolders = 3;

/** "in use: mounted at /mnt by process 7 (sleep 9) in another mount namespace; unmount it, or end that process". */
export function describeUse({ holders, more, isComplete }: FoundHolders): string {
  if (holders.length === 0) {
    const search = isComplete ? "no process here shows who holds it" : "the search for its holder took too long";
    return `in use: mounted or open, but ${search}; look for it in other containers, and unmount or close it`;
  }
  return `in use: ${describeHolders(holders, more)}; ${wayOut(holders)}`;
}

type NameProcess = (process: HolderProcess) => string;
const named: NameProcess = ({ pid, command }) => `process ${pid} (${command})`;

/** At most three of them, and how many there are besides, with `unnamed` that are not in the list. */
export function describeHolders(holders: readonly Holder[], unnamed = 0, nameOf: NameProcess = named): string {
  const more = Math.max(0, holders.length - shownHolders) + unnamed;
  return [
    ...holders.slice(0, shownHolders).map((each) => describeHolder(each, nameOf)),
    ...(more > 0 ? [`and ${more} more`] : []),
  ].join(", ");
}

function describeHolder(holder: Holder, nameOf: NameProcess): string {
  switch (holder.kind) {
    case "mount": {
      const place = `mounted at ${holder.mountPoint}`;
      if (holder.isOwnNamespace) return place;
      return `${place}${holder.process === undefined ? "" : ` by ${nameOf(holder.process)}`} in another mount namespace`;
    }
    case "open":
      return `open in ${nameOf(holder.process)}`;
    case "device":
      return `part of device ${holder.device}`;
  }
}

function wayOut(holders: readonly Holder[]): string {
  const ways = [
    holders.some(({ kind }) => kind === "device") ? "take that device down" : undefined,
    holders.some(({ kind }) => kind === "mount") ? "unmount it" : undefined,
    holders.some((holder) => holder.kind !== "device" && "process" in holder) ? "end that process" : undefined,
  ];
  return ways.filter((way) => way !== undefined).join(" or ");
}
