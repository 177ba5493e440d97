// Room: system. Owns what the kernel reports about processes: their state, their processor time, where they wait.
import { namesIn, readIfThere, statFields, statFieldsOf } from "./proc-files.ts";

/** One process, or one thread. */
export interface ProcessFacts {
  /** R running, S waiting, D waiting in the kernel where no signal ends it, T stopped, t traced, Z dead: proc(5). */
  readonly state: string;
  /** The process that leads its session; a child of `startProcess` leads its own. */
  readonly session: number;
  /** Processor time, in user and kernel mode together. */
  readonly cpuMs: number;
}

/** USER_HZ is 100 wherever Linux runs: time(7). */
const msPerTick = 10;

/** Undefined when there is no such process. */
export const factsOf = (pid: number): ProcessFacts | undefined => asFacts(statFieldsOf(pid));

function asFacts(fields: readonly string[] | undefined): ProcessFacts | undefined {
  if (fields === undefined) return undefined;
  const [state = "?", , , session] = fields;
  return { state, session: Number(session), cpuMs: (Number(fields[11]) + Number(fields[12])) * msPerTick };
}

/** Identifies the process among all since the machine's boot: its number and its start time (proc(5)). */
export const identityOf = (pid: number): string => `${pid}@${statFieldsOf(pid)?.[19] ?? "gone"}`;

const killBit = 1n << 8n;

/** Whether the process has ended, or has a pending SIGKILL. */
export function isDying(pid: number): boolean {
  const status = readIfThere(`/proc/${pid}/status`);
  if (status === undefined || /^State:\s+[ZX]/m.test(status)) return true;
  const pending = [...status.matchAll(/^(?:SigPnd|ShdPnd):\s+([0-9a-f]+)$/gm)];
  return pending.some(([, mask = "0"]) => (BigInt(`0x${mask}`) & killBit) !== 0n);
}

/** Why a process that was killed is still there, for messages: the kernel function in which one of its threads waits. */
export function whyStillThere(pid: number): string {
  const threads = namesIn(`/proc/${pid}/task`).map((name) => ({
    facts: asFacts(statFields(`/proc/${pid}/task/${name}/stat`)),
    name,
  }));
  const waiting = threads.find(({ facts }) => facts?.state === "D");
  if (waiting !== undefined) {
    const where = readIfThere(`/proc/${pid}/task/${waiting.name}/wchan`)?.trim();
    return `it waits in the kernel${where === undefined || where === "" || where === "0" ? "" : `, in ${where}`}`;
  }
  return `its state is ${factsOf(pid)?.state ?? "unknown"}`;
}

/** The running processes of a session: the descendants of the process that led it. */
export const processesOfSession = (session: number): number[] =>
  namesIn("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const facts = factsOf(pid);
      return facts?.session === session && !/[ZX]/.test(facts.state);
    });

/** The command line of a process, shortened: for people. */
export const commandOf = (pid: number): string =>
  (readIfThere(`/proc/${pid}/cmdline`) ?? "").replaceAll("\0", " ").trim().slice(0, 120);
