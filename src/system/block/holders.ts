// Room: system. Owns who holds a block device: what a search of all processes, shared by all who ask, says of it.
import { type FoundHolders, type Holder, type HolderProcess, noHolders } from "../../domain/holders.ts";
import { visible } from "../../domain/quoted.ts";
import { readIfThere } from "../process/proc-files.ts";
import { commandOf } from "../process/process-facts.ts";
import { blockDeviceNumber, devicesOn, type FoundOpen, type Scan, scanHolders, startTicksOf } from "./holder-scan.ts";

/** As long as one search serves whoever asks. */
const sharedMs = 2000;
interface Search {
  readonly scan: Promise<Scan>;
  readonly untilMs: number;
}
let shared: Search | undefined;

const search = (): Search => ({ scan: scanHolders(), untilMs: performance.now() + sharedMs });

/**
 * Who holds each of the block devices at `paths`, in their order; nobody for a path without one. What others found in the
 * last two seconds is used again where it names someone, so an answer may be that old.
 */
export async function holdersOfEach(paths: readonly string[]): Promise<FoundHolders[]> {
  const earlier = shared !== undefined && performance.now() < shared.untilMs ? shared : undefined;
  if (earlier !== undefined) {
    const found = await holdersBy(earlier, paths);
    if (found.every(({ holders }) => holders.length > 0)) return found;
    // They may have come since.
    if (shared === earlier) shared = undefined;
  }
  shared ??= search();
  return await holdersBy(shared, paths);
}

async function holdersBy({ scan }: Search, paths: readonly string[]): Promise<FoundHolders[]> {
  const found = await scan;
  return paths.map((path) => holdersIn(found, path));
}

export async function holdersOf(path: string): Promise<FoundHolders> {
  const [found = noHolders] = await holdersOfEach([path]);
  return found;
}

export function holdersIn(scan: Scan, path: string): FoundHolders {
  const deviceNumber = blockDeviceNumber(path);
  if (deviceNumber === undefined) return noHolders;
  const onTop = scan.loops.filter((loop) => loop.deviceNumber === deviceNumber).map((loop) => loop.path);
  const devices = [...devicesOn(deviceNumber), ...onTop].map((device): Holder => ({ kind: "device", device }));
  const opens = scan.opens.filter((open) => open.deviceNumber === deviceNumber);
  return {
    holders: [...mountsOf(scan, deviceNumber), ...opens.flatMap(openHolder), ...devices],
    isComplete: scan.isComplete,
  };
}

function mountsOf({ mounts, ownNamespace }: Scan, deviceNumber: string): Holder[] {
  const isOf = (mount: Scan["mounts"][number]) =>
    mount.deviceNumber === deviceNumber ||
    // Device numbers of major 0 are a file system's own.
    (mount.deviceNumber.startsWith("0:") && blockDeviceNumber(mount.source) === deviceNumber);
  const sorted = mounts
    .filter(isOf)
    .toSorted((one, other) => Number(other.namespace === ownNamespace) - Number(one.namespace === ownNamespace));
  return sorted.map(({ mountPoint, namespace, pid }): Holder => {
    const process = namespace === ownNamespace ? undefined : processOf(pid);
    const isOwnNamespace = namespace === ownNamespace;
    const place = { kind: "mount", mountPoint: visible(mountPoint), namespace, isOwnNamespace } as const;
    return process === undefined ? place : { ...place, process };
  });
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
