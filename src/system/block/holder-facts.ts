// Room: system. Owns what a search through all processes says of one device: who holds it, with the facts of each.
import type { DeviceMaker, FoundHolders, Holder, HolderProcess } from "../../domain/holders.ts";
import { noHolders } from "../../domain/holders.ts";
import { visible } from "../../domain/quoted.ts";
import { readIfThere } from "../process/proc-files.ts";
import { commandOf } from "../process/process-facts.ts";
import {
  blockDeviceNumber,
  devicesOn,
  type FoundMount,
  type FoundOpen,
  type Scan,
  startTicksOf,
} from "./holder-scan.ts";

export const holdersIn = (scan: Scan, path: string): FoundHolders => holdersAmong(byDevice(scan), path);

/** What a scan has found, by the number of the device. */
export interface Found {
  readonly mounts: ReadonlyMap<string, readonly FoundMount[]>;
  readonly opens: ReadonlyMap<string, readonly FoundOpen[]>;
  readonly loops: ReadonlyMap<string, Scan["loops"]>;
  readonly ownNamespace: number | undefined;
  readonly isComplete: boolean;
}

export function byDevice({ mounts, opens, loops, ownNamespace, isComplete }: Scan): Found {
  const numberOf = ({ deviceNumber }: { readonly deviceNumber: string }) => deviceNumber;
  return {
    mounts: Map.groupBy(mounts, numberOf),
    opens: Map.groupBy(opens, numberOf),
    loops: Map.groupBy(loops, numberOf),
    ownNamespace,
    isComplete,
  };
}

/** Of one device: a mount that is inherited by the namespace of every container would make a very long list. */
const namedHolders = 20;

export function holdersAmong(found: Found, path: string): FoundHolders {
  const deviceNumber = blockDeviceNumber(path);
  if (deviceNumber === undefined) return noHolders;
  const mounts = found.mounts.get(deviceNumber) ?? [];
  const isOwn = ({ namespace }: FoundMount) => namespace === found.ownNamespace;
  const sorted = [...mounts.filter(isOwn), ...mounts.filter((mount) => !isOwn(mount))];
  const opens = found.opens.get(deviceNumber) ?? [];
  const devices = [
    ...devicesOn(deviceNumber).map(({ device, isMapped }) => onTop(device, isMapped ? "device-mapper" : "other")),
    ...(found.loops.get(deviceNumber) ?? []).map((loop) => onTop(loop.path, "loop")),
  ];
  const holders = [
    ...sorted.slice(0, namedHolders).map((mount) => mountHolder(mount, isOwn(mount))),
    ...opens.slice(0, namedHolders).flatMap(openHolder),
    ...devices,
  ];
  const unnamed = Math.max(0, mounts.length - namedHolders) + Math.max(0, opens.length - namedHolders);
  return {
    holders: holders.slice(0, namedHolders),
    more: unnamed + Math.max(0, holders.length - namedHolders),
    isComplete: found.isComplete,
  };
}

const onTop = (device: string, madeBy: DeviceMaker): Holder => ({ kind: "device", device, madeBy });

function mountHolder({ mountPoint, namespace, pid }: FoundMount, isOwnNamespace: boolean): Holder {
  const process = isOwnNamespace ? undefined : processOf(pid);
  const place = { kind: "mount", mountPoint: visible(mountPoint), namespace, isOwnNamespace } as const;
  return process === undefined ? place : { ...place, process };
}

/** Nobody, if the process has ended since: its number may be another's. */
function openHolder({ pid, startTicks }: FoundOpen): Holder[] {
  const process = startTicksOf(pid) === startTicks ? processOf(pid) : undefined;
  return process === undefined ? [] : [{ kind: "open", process }];
}

function processOf(pid: number): HolderProcess | undefined {
  const ticks = startTicksOf(pid);
  if (ticks === undefined) return undefined;
  const name = (readIfThere(`/proc/${pid}/comm`) ?? "").trim();
  const line = commandOf(pid);
  // A program may call itself anything, as long as its command line says what it is.
  const command = line === "" ? name : line;
  return { pid, command: visible(command), startedAtMs: bootedAtMs() + ticks * msPerTick };
}

/** USER_HZ is 100 wherever Linux runs: time(7). */
const msPerTick = 10;

const bootedAtMs = (): number => Number(/^btime (\d+)$/m.exec(readIfThere("/proc/stat") ?? "")?.[1] ?? 0) * 1000;
