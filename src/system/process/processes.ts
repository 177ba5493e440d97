// Room: system. Owns starting and ending long-lived child processes, which never outlive their parent.
import type { FileSink } from "bun";
import { startTimer } from "../../domain/timers.ts";
import { isErrno } from "../ffi/errno.ts";
import { commandOf, processesOfSession, whyStillThere } from "./process-facts.ts";

export type InputMode = "pipe" | "ignore";
export type OutputMode = "pipe" | "inherit" | "ignore";

export interface ProcessOptions<In extends InputMode, Out extends OutputMode, Err extends OutputMode> {
  /** The child's whole environment: see `childEnvironment` in config.ts. */
  readonly environment: Readonly<Record<string, string>>;
  readonly stdin: In;
  readonly stdout: Out;
  readonly stderr: Err;
}

/** How a process ended. `code` 127: its program was not found. */
export type Exit =
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "killed"; readonly signal: string };

/** A process that is still there after SIGKILL, because it waits in the kernel. */
export interface Left {
  readonly kind: "left";
  readonly pid: number;
  /** "it waits in the kernel, in jbd2_log_wait_commit" */
  readonly reason: string;
}

type Input<In extends InputMode> = In extends "pipe" ? FileSink : undefined;
type Output<Out extends OutputMode> = Out extends "pipe" ? ReadableStream<Uint8Array<ArrayBuffer>> : undefined;

export interface RunningProcess<
  In extends InputMode = InputMode,
  Out extends OutputMode = OutputMode,
  Err extends OutputMode = OutputMode,
> {
  readonly pid: number;
  readonly stdin: Input<In>;
  readonly stdout: Output<Out>;
  readonly stderr: Output<Err>;
  /** Resolves when the process has ended for any reason; never rejects. */
  readonly exited: Promise<Exit>;
  /** Sends a signal; nothing happens when the process has ended already. */
  kill(signal: NodeJS.Signals): void;
  /**
   * SIGTERM, and SIGKILL when the process is still there `graceMs` later. Returns when it has ended, or five seconds after
   * an ineffective SIGKILL.
   */
  stop(patience: { readonly graceMs: number }): Promise<Exit | Left>;
}

/** How long a process may take to end after SIGKILL before it is reported as one that does not. */
const immortalAfterMs = 5_000;

/**
 * Covers the time between the child's start and its prctl(PR_SET_PDEATHSIG): when the parent has died meanwhile, it is not
 * the given one (`$1`) any more.
 */
const onlyUnderItsParent = 'test "$PPID" = "$1" || exit 1; shift; exec "$@"';

/**
 * Starts a long-lived child. It dies by SIGKILL with this process, however this process ends (prctl(2),
 * PR_SET_PDEATHSIG), and it is in a session of its own: Ctrl-C at the terminal reaches this process alone, which then
 * stops its children in order. Call it from the main thread: the kernel watches the thread that started the child.
 */
export function startProcess<In extends InputMode, Out extends OutputMode, Err extends OutputMode>(
  argv: readonly string[],
  options: ProcessOptions<In, Out, Err>,
): RunningProcess<In, Out, Err> {
  const guarded = ["/bin/sh", "-c", onlyUnderItsParent, "sh", String(process.pid), ...argv];
  const child = Bun.spawn(["setpriv", "--pdeathsig", "KILL", "--", ...guarded], {
    env: { ...options.environment },
    stdin: options.stdin,
    stdout: options.stdout,
    stderr: options.stderr,
    detached: true,
  });

  const exited = child.exited.then((): Exit => {
    const signal = child.signalCode;
    if (signal !== null) return { kind: "killed", signal: String(signal) };
    return { kind: "exited", code: child.exitCode ?? 0 };
  });
  const kill = (signal: NodeJS.Signals) => child.kill(signal);
  return {
    pid: child.pid,
    stdin: child.stdin,
    stdout: child.stdout as Output<Out>,
    stderr: child.stderr as Output<Err>,
    exited,
    kill,
    stop: async ({ graceMs }) => {
      kill("SIGTERM");
      // A process that is stopped (SIGSTOP) would not receive it.
      kill("SIGCONT");
      using _killer = startTimer(graceMs, () => kill("SIGKILL"));
      const { promise: left, resolve } = Promise.withResolvers<Left>();
      const giveUp = () => resolve({ kind: "left", pid: child.pid, reason: whyStillThere(child.pid) });
      using _judge = startTimer(graceMs + immortalAfterMs, giveUp);
      return await Promise.race([exited, left]);
    },
  };
}

/** How long the processes that a dead child had started may take to end by themselves; most end at once. */
const lingerMs = 1_000;

/**
 * Ends the processes that a dead child of `startProcess` has left: SIGKILL after a second. Returns those that are still
 * there two seconds later.
 */
export async function endSession(leader: number): Promise<readonly Left[]> {
  const others = () => processesOfSession(leader).filter((pid) => pid !== leader);
  if (await areGone(others, lingerMs)) return [];
  for (const pid of others()) killIfThere(pid);
  if (await areGone(others, 2 * lingerMs)) return [];
  return others().map((pid) => ({ kind: "left", pid, reason: `${commandOf(pid)}; ${whyStillThere(pid)}` }));
}

async function areGone(pids: () => readonly number[], withinMs: number): Promise<boolean> {
  for (const startMs = performance.now(); ; await Bun.sleep(20)) {
    if (pids().length === 0) return true;
    if (performance.now() - startMs > withinMs) return false;
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!isErrno(error, "ESRCH")) throw error;
  }
}

/** An exit as text for logs and errors: "exited with status 1", "was killed by SIGKILL". */
export function describeExit(exit: Exit | Left): string {
  switch (exit.kind) {
    case "left":
      return `does not end, not even by SIGKILL (process ${exit.pid}: ${exit.reason})`;
    case "exited":
      return `exited with status ${exit.code}`;
    case "killed":
      return `was killed by ${exit.signal}`;
  }
}
