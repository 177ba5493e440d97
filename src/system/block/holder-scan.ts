// Room: system. Owns the bounded search through /proc and /sys for all that uses block devices: mounts, descriptors, loop devices.
import { constants, readlinkSync, statSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { parseMountInfo } from "../mount/mountinfo.ts";
import { namesIn, readIfThere, statFieldsOf } from "../process/proc-files.ts";
import { listLoops } from "./attached-loops.ts";
import { deviceNumberText } from "./block-devices.ts";

/** What a search may cost. */
export interface ScanLimits {
  readonly timeMs: number;
  readonly processes: number;
  readonly descriptors: number;
}
export const scanLimits: ScanLimits = { timeMs: 2000, processes: 50_000, descriptors: 500_000 };

export interface FoundMount {
  /** Of the block device that is mounted. */
  readonly deviceNumber: string;
  readonly mountPoint: string;
  readonly namespace: number;
  readonly pid: number;
}

export interface FoundOpen {
  readonly deviceNumber: string;
  readonly pid: number;
  readonly startTicks: number;
}

export interface Scan {
  readonly ownNamespace: number | undefined;
  readonly mounts: readonly FoundMount[];
  readonly opens: readonly FoundOpen[];
  /** Loop devices on block devices, by the device's number: the kernel does not list them among a device's holders. */
  readonly loops: readonly { readonly deviceNumber: string; readonly path: string }[];
  readonly isComplete: boolean;
}

/** How long the event loop may be kept from other work. */
const turnMs = 5;

/** Lets others work from time to time, and says when to stop. */
class Pace {
  readonly #untilMs: number;
  #yieldAtMs = performance.now() + turnMs;

  constructor(timeMs: number) {
    this.#untilMs = performance.now() + timeMs;
  }

  async goesOn(): Promise<boolean> {
    const nowMs = performance.now();
    if (nowMs >= this.#untilMs) return false;
    if (nowMs < this.#yieldAtMs) return true;
    await setImmediate();
    this.#yieldAtMs = performance.now() + turnMs;
    return true;
  }
}

/** Looks at mounts first: they are what is asked for most, and cheap. */
export async function scanHolders(limits: ScanLimits = scanLimits): Promise<Scan> {
  const pace = new Pace(limits.timeMs);
  const all = namesIn("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
  const pids = all.slice(0, limits.processes);
  const mounts = await scanMounts(pids, pace);
  const opens = await scanOpens(pids, limits.descriptors, pace);
  return {
    ownNamespace: namespaceOf("self"),
    mounts: mounts.found,
    opens: opens.found,
    loops: await loopsOnDevices(),
    isComplete: pids.length === all.length && mounts.isComplete && opens.isComplete,
  };
}

interface Part<T> {
  readonly found: readonly T[];
  readonly isComplete: boolean;
}

/** One table for each mount namespace. */
async function scanMounts(pids: readonly number[], pace: Pace): Promise<Part<FoundMount>> {
  const seen = new Set<number>();
  const numberOf = deviceNumbers();
  const found: FoundMount[] = [];
  for (const pid of pids) {
    if (!(await pace.goesOn())) return { found, isComplete: false };
    const namespace = namespaceOf(pid);
    if (namespace === undefined || seen.has(namespace)) continue;
    const text = readIfThere(`/proc/${pid}/mountinfo`);
    // Empty: the process has ended, or ends just now; another one may show the namespace.
    if (text === undefined || text === "") continue;
    seen.add(namespace);
    for (const mount of parseMountInfo(text)) {
      const deviceNumber = numberOf(mount);
      if (deviceNumber !== undefined) found.push({ deviceNumber, mountPoint: mount.mountPoint, namespace, pid });
    }
  }
  return { found, isComplete: true };
}

/** Of the block device behind a mount: numbers of major 0 are a file system's own (btrfs has one), whose source tells it. */
function deviceNumbers() {
  const known = new Map<string, string | undefined>();
  return ({ deviceNumber, source }: { readonly deviceNumber: string; readonly source: string }) => {
    if (!deviceNumber.startsWith("0:")) return deviceNumber;
    if (!source.startsWith("/dev/")) return undefined;
    if (!known.has(source)) known.set(source, blockDeviceNumber(source));
    return known.get(source);
  };
}

function namespaceOf(pid: number | "self"): number | undefined {
  const inode = /^mnt:\[(\d+)\]$/.exec(linkAt(`/proc/${pid}/ns/mnt`))?.[1];
  return inode === undefined ? undefined : Number(inode);
}

async function scanOpens(pids: readonly number[], limit: number, pace: Pace): Promise<Part<FoundOpen>> {
  const found: FoundOpen[] = [];
  let count = 0;
  for (const pid of pids) {
    const numbers = new Set<string>();
    for (const descriptor of namesIn(`/proc/${pid}/fd`)) {
      if (++count > limit || !(await pace.goesOn())) return { found, isComplete: false };
      const deviceNumber = deviceBehind(`/proc/${pid}/fd/${descriptor}`);
      if (deviceNumber !== undefined) numbers.add(deviceNumber);
    }
    found.push(...opensOf(pid, numbers));
  }
  return { found, isComplete: true };
}

function opensOf(pid: number, deviceNumbers: ReadonlySet<string>): FoundOpen[] {
  const startTicks = deviceNumbers.size === 0 ? undefined : startTicksOf(pid);
  if (startTicks === undefined) return [];
  return [...deviceNumbers].map((deviceNumber) => ({ deviceNumber, pid, startTicks }));
}

/** When the process began, in ticks since boot (proc(5)); undefined when it has ended. */
export function startTicksOf(pid: number): number | undefined {
  const ticks = statFieldsOf(pid)?.[19];
  return ticks === undefined ? undefined : Number(ticks);
}

/** Devices that every process has open, and none of which is a block device. */
const plainDevices = /^\/dev\/(?:null|zero|full|random|urandom|tty|ptmx|pts\/.*|shm\/.*)$/;

/** Only what is below /dev is looked at: a stat of a file may hang, on a network file system that is gone. */
function deviceBehind(link: string): string | undefined {
  const target = linkAt(link);
  return target.startsWith("/dev/") && !plainDevices.test(target) ? blockDeviceNumber(link) : undefined;
}

/** `major:minor` of the block device at `path`; undefined when there is none. */
export function blockDeviceNumber(path: string): string | undefined {
  try {
    const { rdev, mode } = statSync(path);
    return (mode & constants.S_IFMT) === constants.S_IFBLK ? deviceNumberText(rdev) : undefined;
  } catch {
    return undefined;
  }
}

async function loopsOnDevices() {
  // Whoever asks has an error to report already: this one must not take its place.
  const loops = await listLoops().catch(() => []);
  return loops.flatMap(({ path, backingFile }) => {
    const deviceNumber = backingFile.startsWith("/dev/") ? blockDeviceNumber(backingFile) : undefined;
    return deviceNumber === undefined ? [] : [{ deviceNumber, path }];
  });
}

function linkAt(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    // A process or its descriptor has gone meanwhile.
    return "";
  }
}

/** Devices that the kernel has built on the device: device-mapper's, md's. */
export function devicesOn(deviceNumber: string): { readonly device: string; readonly isMapped: boolean }[] {
  return namesIn(`/sys/dev/block/${deviceNumber}/holders`).map((name) => {
    const mapped = readIfThere(`/sys/block/${name}/dm/name`)?.trim() ?? "";
    return mapped === ""
      ? { device: `/dev/${name}`, isMapped: false }
      : { device: `/dev/mapper/${mapped}`, isMapped: true };
  });
}
