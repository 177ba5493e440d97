// Room: system. Owns what processes use of the machine: processor time, memory, descriptors.
import { namesIn, readIfThere, statFieldsOf } from "./proc-files.ts";

/** Of a process, or of several together. */
export interface Usage {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly openFds: number;
  /** Of the process itself, in seconds since 1970. */
  readonly startedSeconds: number;
}

/** USER_HZ is 100 wherever Linux runs: time(7). */
const ticksPerSecond = 100;

/** Fields of /proc/PID/stat, counted from the state: proc(5). */
const field = { session: 3, userTime: 11, systemTime: 12, childrensTime: [13, 14], startTime: 19 } as const;

/** Undefined: there is no such process. */
export const usageOf = (pid: number): Usage | undefined => usageOfAll(pid, [pid]);

/**
 * Each process of `leaders` with everything in the session that it leads. The time of those that have ended is in that
 * of their parents.
 */
export function usageOfSessions(leaders: readonly number[]): ReadonlyMap<number, Usage> {
  const members = new Map<number, number[]>(leaders.map((leader) => [leader, []]));
  for (const name of namesIn("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    members.get(Number(statFieldsOf(pid)?.[field.session]))?.push(pid);
  }
  const used = [...members].flatMap(([leader, pids]): [number, Usage][] => {
    const usage = usageOfAll(leader, pids);
    return usage === undefined ? [] : [[leader, usage]];
  });
  return new Map(used);
}

function usageOfAll(leader: number, pids: readonly number[]): Usage | undefined {
  const started = statFieldsOf(leader)?.[field.startTime];
  if (started === undefined) return undefined;
  let [cpuSeconds, residentBytes, openFds] = [0, 0, 0];
  for (const pid of pids) {
    const fields = statFieldsOf(pid) ?? [];
    for (const index of [field.userTime, field.systemTime, ...field.childrensTime]) {
      cpuSeconds += Number(fields[index] ?? 0) / ticksPerSecond;
    }
    residentBytes += residentBytesOf(pid);
    openFds += namesIn(`/proc/${pid}/fd`).length;
  }
  return { cpuSeconds, residentBytes, openFds, startedSeconds: bootSeconds() + Number(started) / ticksPerSecond };
}

const residentBytesOf = (pid: number): number =>
  1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(readIfThere(`/proc/${pid}/status`) ?? "")?.[1] ?? 0);

const bootSeconds = (): number => Number(/^btime (\d+)$/m.exec(readIfThere("/proc/stat") ?? "")?.[1] ?? 0);
