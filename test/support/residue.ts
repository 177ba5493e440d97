// Room: test. Owns the search for what snapmill left behind: processes, devices, mounts, files, half-done work.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const readIfThere = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
};

const pids = () => readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);

/** Processes that were started for the state directory, the running one not counted: `pid command`. */
export const processesOf = (stateDir: string): string[] =>
  pids()
    .filter((pid) => {
      const facts = readIfThere(`/proc/${pid}/environ`) + readIfThere(`/proc/${pid}/cmdline`);
      return facts.includes(stateDir);
    })
    .map((pid) => `process ${pid}: ${readIfThere(`/proc/${pid}/cmdline`).replaceAll("\0", " ")}`);

export const loopsBackedBelow = (directory: string): string[] =>
  readdirSync("/sys/block")
    .filter((name) => name.startsWith("loop"))
    .map((name) => ({ name, file: readIfThere(`/sys/block/${name}/loop/backing_file`).trim() }))
    .filter(({ file }) => file.startsWith(directory))
    .map(({ name, file }) => `loop device ${name} on ${file}`);

/** Devices of device-mapper that stand, over however many others, on loop devices over files below `directory`. */
export const mappedDevicesBelow = (directory: string): string[] =>
  readdirSync("/sys/block")
    .filter((name) => name.startsWith("dm-") && standsBelow(directory, name))
    .map((name) => `mapped device ${readIfThere(`/sys/block/${name}/dm/name`).trim()}`);

function standsBelow(directory: string, device: string): boolean {
  if (readIfThere(`/sys/block/${device}/loop/backing_file`).startsWith(directory)) return true;
  const slaves = `/sys/block/${device}/slaves`;
  return existsSync(slaves) && readdirSync(slaves).some((slave) => standsBelow(directory, slave));
}

export const mountsBelow = (...directories: string[]): string[] =>
  readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => directories.some((directory) => line.split(" ")[4]?.startsWith(directory)))
    .map((line) => `mount ${line}`);

/** Files below `directory` whose path, relative to it, `expected` does not match. */
export const strayFiles = (directory: string, expected: RegExp): string[] =>
  existsSync(directory)
    ? readdirSync(directory, { recursive: true, encoding: "utf8", withFileTypes: true })
        .filter((entry) => !entry.isDirectory())
        .map((entry) => join(entry.parentPath, entry.name))
        .filter((path) => !expected.test(path.slice(directory.length + 1)))
        .map((path) => `file ${path}`)
    : [];
