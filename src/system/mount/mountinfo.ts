// Room: system. Owns reading /proc/self/mountinfo (proc(5)): what is mounted where in this process's namespace.
import { readFile, realpath } from "node:fs/promises";
import { isErrno } from "../ffi/errno.ts";

export interface MountEntry {
  readonly mountId: number;
  readonly parentId: number;
  /** `major:minor` of the file system's device. */
  readonly deviceNumber: string;
  /** The directory of the file system that is seen at the mount point. */
  readonly root: string;
  readonly mountPoint: string;
  readonly options: readonly string[];
  readonly fsType: string;
  readonly source: string;
  readonly superOptions: readonly string[];
}

/** The kernel writes space, tab, newline and backslash as a backslash and three octal digits. */
const unescapeOctal = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

/** The mounts in a mountinfo text, in its order; malformed lines are skipped. */
export function parseMountInfo(text: string): MountEntry[] {
  return text.split("\n").flatMap((line) => parseLine(line) ?? []);
}

function parseLine(line: string): MountEntry | undefined {
  // 36 35 98:0 /root /mount/point rw,noatime master:1 shared:2 - ext3 /dev/source rw,errors=continue
  const [mountId, parentId, deviceNumber, root, mountPoint, options, ...rest] = line.split(" ");
  const [fsType, source, superOptions] = rest.slice(rest.indexOf("-") + 1);
  if (deviceNumber === undefined || root === undefined || mountPoint === undefined || options === undefined) return;
  if (fsType === undefined || source === undefined) return;
  return {
    mountId: Number(mountId),
    parentId: Number(parentId),
    deviceNumber,
    root: unescapeOctal(root),
    mountPoint: unescapeOctal(mountPoint),
    options: options.split(","),
    fsType,
    source: unescapeOctal(source),
    superOptions: superOptions?.split(",") ?? [],
  };
}

export const mountInfo = async (): Promise<MountEntry[]> =>
  parseMountInfo(await readFile("/proc/self/mountinfo", "utf8"));

/** What is mounted on `dir` (the uppermost, when there are several); undefined when nothing is. */
export async function mountAtDir(dir: string): Promise<MountEntry | undefined> {
  try {
    const resolved = await realpath(dir);
    return (await mountInfo()).findLast((entry) => entry.mountPoint === resolved);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

export const isMountPoint = async (dir: string): Promise<boolean> => (await mountAtDir(dir)) !== undefined;

/** Whether the file system of `dir` is read-only, by its mount or after an error. */
export async function isReadOnly(dir: string): Promise<boolean> {
  const resolved = await realpath(dir);
  const isAbove = ({ mountPoint }: MountEntry) =>
    mountPoint === "/" || resolved === mountPoint || resolved.startsWith(`${mountPoint}/`);
  // The last mount that covers the directory is the visible one.
  const entries = (await mountInfo()).filter(isAbove);
  const depth = Math.max(...entries.map(({ mountPoint }) => mountPoint.length));
  const seen = entries.findLast(({ mountPoint }) => mountPoint.length === depth);
  return seen !== undefined && (seen.options.includes("ro") || seen.superOptions.includes("ro"));
}
