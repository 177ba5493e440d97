// Room: bench. Owns how much memory the processes that a benchmark has started take together, at most.
import { readdirSync, readFileSync } from "node:fs";
import { printTable } from "./measure.ts";

/** To sample takes a few milliseconds of processor time: not while something is timed. */
const sampleEveryMs = 100;
const kibibyte = 1024;

interface Memory {
  /** Proportional set size: a page that several processes share counts once. */
  readonly pssBytes: number;
  readonly processes: number;
}

const nothing: Memory = { pssBytes: 0, processes: 0 };

/** Samples all that descend from this process, until it is disposed of. */
export class MemoryPeak implements Disposable {
  totalBytes = 0;
  #byName: ReadonlyMap<string, Memory> = new Map();
  readonly #timer: ReturnType<typeof setInterval>;

  /** `exceptPid`: a process that is left out, with all that it has started. */
  constructor(exceptPid?: number) {
    this.#timer = setInterval(() => this.#look(memoryByName(exceptPid)), sampleEveryMs);
  }

  print(title: string): void {
    const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
    const rows = [...this.#byName].map(([name, { pssBytes, processes }]) => [
      name,
      String(processes),
      mebibytes(pssBytes),
    ]);
    printTable(
      `${title}, PSS sampled every ${sampleEveryMs} ms`,
      ["process", "number", "MiB"],
      [...rows, ["all together", "", mebibytes(this.totalBytes)]],
    );
  }

  #look(byName: ReadonlyMap<string, Memory>): void {
    const totalBytes = [...byName.values()].reduce((sum, { pssBytes }) => sum + pssBytes, 0);
    if (totalBytes > this.totalBytes) [this.totalBytes, this.#byName] = [totalBytes, byName];
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

function memoryByName(exceptPid: number | undefined): Map<string, Memory> {
  const parents = new Map(pids().map((pid) => [pid, parentOf(pid)]));
  const isOurs = (pid: number | undefined): boolean =>
    pid !== undefined && pid !== exceptPid && (parents.get(pid) === process.pid || isOurs(parents.get(pid)));
  const sums = new Map<string, Memory>();
  for (const pid of parents.keys()) {
    if (!isOurs(pid)) continue;
    const { pssBytes, processes } = sums.get(nameOf(pid)) ?? nothing;
    sums.set(nameOf(pid), { pssBytes: pssBytes + pssOf(pid), processes: processes + 1 });
  }
  return sums;
}

const pids = (): number[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);

/** Empty when the process has ended meanwhile. */
function read(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return "";
  }
}

function parentOf(pid: number): number | undefined {
  const [, parent] = /^PPid:\s+(\d+)/m.exec(read(pid, "status")) ?? [];
  return parent === undefined || parent === "0" ? undefined : Number(parent);
}

const pssOf = (pid: number): number => Number(/^Pss:\s+(\d+)/m.exec(read(pid, "smaps_rollup"))?.[1] ?? 0) * kibibyte;

function nameOf(pid: number): string {
  const [name = "other"] = /workers\/\w+|redis-server|cli\.ts\0[a-z]+/.exec(read(pid, "cmdline")) ?? [];
  return name.replace("cli.ts\0", "snapmill ");
}
