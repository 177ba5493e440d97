// Room: scripts. Owns how the demo runs snapmill's own command line: one command at a time, and `up` beside them.
import { join } from "node:path";
import { childEnvironment } from "../src/config.ts";
import { untilAborted } from "../src/domain/cancellation.ts";
import { startProcess } from "../src/system/process/processes.ts";

const root = join(import.meta.dir, "..");
const commandLine = (args: readonly string[]) => [join(root, "snapmill"), ...args];

export interface CommandOptions {
  readonly signal?: AbortSignal;
  /** Where its progress and its hints go. Default "keep": shown only when the command fails. */
  readonly stderr?: "show" | "keep";
}

/** Runs one command to its end and returns its stdout. Throws its last words when it fails, and what `signal` says. */
export async function snapmill(args: readonly string[], { signal, stderr = "keep" }: CommandOptions): Promise<string> {
  const child = Bun.spawn(commandLine(args), {
    cwd: root,
    stdin: "ignore",
    stdout: "pipe",
    stderr: stderr === "show" ? "inherit" : "pipe",
  });
  const stop = () => child.kill("SIGTERM");
  signal?.addEventListener("abort", stop, { once: true });
  try {
    const said = child.stderr === undefined ? "" : new Response(child.stderr).text();
    const [stdout, words, exitCode] = await Promise.all([new Response(child.stdout).text(), said, child.exited]);
    signal?.throwIfAborted();
    if (exitCode !== 0) throw new Error(`'snapmill ${args.join(" ")}' ended with exit status ${exitCode} ${words}`);
    return stdout;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/** A running `snapmill up`; disposing of it stops it, and waits until all of it is gone. */
export interface RunningUp extends AsyncDisposable {
  /** What it said on stderr, warnings and errors only; known at its end. */
  readonly words: Promise<string>;
}

/** Starts `up` and waits until it is ready. It dies with this process, however this process ends. */
export async function startUp(args: readonly string[], signal: AbortSignal): Promise<RunningUp> {
  const child = startProcess(commandLine(["up", ...args]), {
    environment: childEnvironment({ SNAPMILL_LOG_LEVEL: "warn" }),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const stop = async () => void (await child.stop({ graceMs: 60_000 }));
  const words = new Response(child.stderr).text();
  try {
    await Promise.race([readyIn(child.stdout), untilAborted(signal), child.exited.then(() => ended(words))]);
    return { words, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Resolves once a line with `ready` has come; goes on reading, so that the pipe never fills up. */
function readyIn(stdout: ReadableStream<Uint8Array>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  void (async () => {
    let text = "";
    for await (const chunk of stdout) {
      text = (text + new TextDecoder().decode(chunk)).slice(-4096);
      if (text.includes("ready")) resolve();
    }
  })();
  return promise;
}

async function ended(words: Promise<string>): Promise<never> {
  throw new Error(`'snapmill up' ended before it was ready: ${(await words).trim()}`);
}
