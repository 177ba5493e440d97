// Room: system. Owns the start and the end of long-lived child processes, which never outlive their parent.
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

/** A process that has got SIGKILL and is still there: the kernel waits for something on its behalf. */
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
  /** Resolves at the end of the process, however it came; never rejects. */
  readonly exited: Promise<Exit>;
  /** Sends a signal; nothing happens when the process has ended already. */
  kill(signal: NodeJS.Signals): void;
  /**
   * SIGTERM, and SIGKILL when the process is still there `graceMs` later. Returns when it is gone, or when SIGKILL has
   * not helped for five seconds.
   */
  stop(patience: { readonly graceMs: number }): Promise<Exit | Left>;
}

/** How long after SIGKILL a process counts as one that does not end. */
const immortalAfterMs = 5_000;

/**
 * Closes the gap between the start of the child and the moment at which its death was tied to its parent's: a parent
 * that died in between is no longer the one that was given (`$1`).
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
      // One that an operator has stopped would not hear of it.
      kill("SIGCONT");
      using _killer = startTimer(graceMs, () => kill("SIGKILL"));
      const { promise: left, resolve } = Promise.withResolvers<Left>();
      const giveUp = () => resolve({ kind: "left", pid: child.pid, reason: whyStillThere(child.pid) });
      using _judge = startTimer(graceMs + immortalAfterMs, giveUp);
      return await Promise.race([exited, left]);
    },
  };
}

/** How long what a dead child had started may take to end by itself; most of it is over in no time. */
const lingerMs = 1_000;

/**
 * Ends what a child of `startProcess` that is gone had started and left: SIGKILL after a second. Returns what is still
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

/** An ending in words, for logs and errors: "exited with status 1", "was killed by SIGKILL". */
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
