// Room: system. Owns running short commands: the only place that spawns one and waits for it.

import { basename } from "node:path";
import { aborted, deadlineExceeded, failedPrecondition, SnapmillError } from "../../domain/errors.ts";
import { longestTimeoutMs, startTimer, type Timer } from "../../domain/timers.ts";
import { inWork, traceparent } from "../../domain/work.ts";
import { openScratch } from "./scratch.ts";

export interface CommandOptions {
  /** Default: one minute. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** How long it may take to end after SIGTERM before it gets SIGKILL. Default: two seconds. */
  readonly graceMs?: number;
  /** Added to the environment that it inherits. Secrets belong here or into `input`: arguments are public. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Text for the command's standard input; without it, the input is empty. */
  readonly input?: string | undefined;
  /**
   * For a command that ends at once, whose output only matters when it fails: `stdout` and `stderr` are empty. If this
   * process exits meanwhile, the command continues. Pipes, and the handlers that end a child, cost a tenth of such a
   * command's time.
   */
  readonly isBrief?: boolean;
  /** Exit codes that mean success. Default: 0 alone. */
  readonly successCodes?: readonly number[];
}

export interface CommandOutput {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** What execa reports about a command that has ended. */
interface Ending {
  readonly exitCode?: number | undefined;
  readonly signal?: string | undefined;
  readonly stdout: string;
  readonly stderr: string;
  readonly shortMessage?: string | undefined;
}

/** A command that failed. Crosses the queue as `internal`. */
export class CommandError extends SnapmillError {
  readonly file: string;
  /** Undefined when a signal ended the command. */
  readonly exitCode: number | undefined;
  readonly stderr: string;

  constructor(file: string, args: readonly string[], ended: Ending) {
    // Some programs report errors on standard output (e2fsck).
    const said = [ended.stdout, ended.stderr]
      .filter((text) => text.trim() !== "")
      .join("\n")
      .trim();
    super("internal", `${commandLine(file, args)}: ${endingOf(ended)}${said === "" ? "" : `: ${said.slice(-2000)}`}`);
    this.file = file;
    this.exitCode = ended.exitCode;
    this.stderr = ended.stderr;
  }
}

/** Debian's package for each program that is not part of every installation. */
const packageOf: Readonly<Record<string, string>> = {
  debugfs: "e2fsprogs",
  dmsetup: "dmsetup",
  e2fsck: "e2fsprogs",
  fsfreeze: "util-linux",
  "mkfs.ext4": "e2fsprogs",
  "mkfs.xfs": "xfsprogs",
  mount: "mount",
  "redis-server": "redis-server",
  resize2fs: "e2fsprogs",
  setpriv: "util-linux",
  umount: "mount",
  unshare: "util-linux",
  xfs_growfs: "xfsprogs",
  xfs_logprint: "xfsprogs",
};

const defaultGraceMs = 2000;
/** How long a command may take to end after SIGKILL before it is abandoned. */
const immortalAfterMs = 2000;

/** The administrator's programs may not be in PATH: `su` without `-` leaves them out. */
const administratorsPath = "/usr/sbin:/sbin";

/** The path of each program that was found; otherwise every run would try each directory of PATH. */
const located = new Map<string, string>();

/**
 * Runs `file` to its end, in this process's environment except for the language of messages.
 * Errors: CommandError when it ends with a code that is no success; `deadline_exceeded` when it ran out of time and
 * `aborted` when `signal` ended it, both with an unknown effect; `failed_precondition` when there is no such program.
 */
export function runCommand(
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandOutput> {
  // Arguments are public: any user of the machine sees them.
  const attributes = { "process.executable.name": file, "process.command_args": args };
  return inWork({ name: `command ${basename(file)}`, attributes }, () => runLocated(file, args, options));
}

async function runLocated(file: string, args: readonly string[], options: CommandOptions): Promise<CommandOutput> {
  const path = locate(file);
  const output = path === undefined ? undefined : await runProgram(path, file, args, options);
  if (output !== undefined) return output;
  located.delete(file);
  const source = packageOf[file];
  const wayOut = source === undefined ? "install it" : `install the package ${source}`;
  throw failedPrecondition(`the program ${file} is missing on this machine; ${wayOut}`);
}

function locate(file: string): string | undefined {
  const known = located.get(file);
  if (known !== undefined || file.includes("/")) return known ?? file;
  const path = Bun.which(file) ?? Bun.which(file, { PATH: administratorsPath });
  if (path === null) return undefined;
  located.set(file, path);
  return path;
}

/** Undefined when there is no program at `path`. */
async function runProgram(path: string, file: string, args: readonly string[], options: CommandOptions) {
  // Imported here: it is 137 files, and most commands of the command line run no program.
  const { execa } = await import("execa");
  const { timeoutMs = 60_000, graceMs = defaultGraceMs, signal } = options;
  using complaints = options.isBrief === true ? openScratch(`what ${file} says`) : undefined;
  const running = execa(path, args, {
    env: { ...options.environment, LC_ALL: "C", TRACEPARENT: traceparent() },
    // Not an empty pipe, which would have to be made and closed for each command.
    ...(options.input === undefined ? { stdin: "ignore" } : { input: options.input }),
    // Its types have descriptors up to 9 alone.
    ...(complaints === undefined ? {} : { stdout: "ignore", stderr: complaints.fd as 9, cleanup: false }),
    timeout: Math.min(timeoutMs, longestTimeoutMs),
    forceKillAfterDelay: graceMs,
    reject: false,
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  });
  const giveUp = giveUpOnImmortal({ timeoutMs, graceMs, signal });
  try {
    const ended = await Promise.race([running, giveUp.promise]);
    if (ended === "immortal" || ended.timedOut) throw outOfTime(file, args, timeoutMs);
    if (ended.isCanceled) throw aborted(`${commandLine(file, args)} was cancelled; its effect is unknown`);
    if (ended.code === "ENOENT") return undefined;
    const { stdout = "", stderr = "", exitCode, signal, shortMessage } = ended;
    if (exitCode !== undefined && (options.successCodes ?? [0]).includes(exitCode)) return { stdout, stderr, exitCode };
    const said = complaints?.read().trimEnd() ?? stderr;
    throw new CommandError(file, args, { exitCode, signal, shortMessage, stdout, stderr: said });
  } finally {
    giveUp.stop();
  }
}

function endingOf({ exitCode, signal, shortMessage }: Ending): string {
  if (exitCode !== undefined) return `exit status ${exitCode}`;
  if (signal !== undefined) return `ended by ${signal}`;
  return shortMessage ?? "could not be started";
}

const commandLine = (file: string, args: readonly string[]) => [file, ...args].join(" ");

const outOfTime = (file: string, args: readonly string[], timeoutMs: number) =>
  deadlineExceeded(`${commandLine(file, args)} did not end within ${timeoutMs} ms; its effect is unknown`);

/** A process that waits for a device in the kernel survives even SIGKILL, and its caller must not wait for it. */
function giveUpOnImmortal(bounds: { timeoutMs: number; graceMs: number; signal: AbortSignal | undefined }) {
  const { timeoutMs, signal } = bounds;
  const goneAfterMs = bounds.graceMs + immortalAfterMs;
  const { promise, resolve } = Promise.withResolvers<"immortal">();
  const timers = new Set<Timer>();
  const resolveAfter = (delayMs: number) => timers.add(startTimer(delayMs, () => resolve("immortal")));
  const onAbort = () => resolveAfter(goneAfterMs);
  resolveAfter(timeoutMs + goneAfterMs);
  signal?.addEventListener("abort", onAbort, { once: true });
  return {
    promise,
    stop: () => {
      for (const timer of timers) timer[Symbol.dispose]();
      signal?.removeEventListener("abort", onAbort);
    },
  };
}
