// Room: unpack. Owns the parent's side of a writer process: requests, results, and a new process after one has died.
import { fileURLToPath } from "node:url";
import { aborted, internal, SnapmillError } from "../domain/errors.ts";
import { startTimer, type Timer } from "../domain/timers.ts";
import { linesOf } from "../system/process/lines.ts";
import { describeExit, type Exit, type RunningProcess, startProcess } from "../system/process/processes.ts";
import type { AppliedLayer, OnProgress } from "./layer.ts";
import { tellPhases } from "./layer-work.ts";
import { encodeMessage, parseWriterMessage } from "./messages.ts";
import type { ApplyRequest, WriterRequest } from "./protocol.ts";

const program = fileURLToPath(new URL("../../workers/writer.ts", import.meta.url));
/** How much of a dead writer's standard error is kept. */
const keptErrorBytes = 4096;
const stopGraceMs = 2000;
/** To unmount a file system at rest takes milliseconds. */
const releaseMs = 5000;

export interface WriterOptions {
  /** The writer's whole environment: see `childEnvironment` in config.ts. */
  readonly environment: Readonly<Record<string, string>>;
  /** How long a process without work is kept. Default: a minute. */
  readonly idleMs?: number;
}

export interface ApplyOptions {
  /** Kills the writer: its mount goes with it. */
  readonly signal?: AbortSignal | undefined;
  /** At most about ten times a second. */
  readonly onProgress?: OnProgress | undefined;
}

export interface Writer extends AsyncDisposable {
  /** Starts the process, if none runs: the first layer then does not wait for it. Never throws. */
  start(): void;
  /**
   * Applies one layer; one at a time. Errors: those of `applyLayer`; `aborted` when the writer died or `signal` said
   * so. The next call then starts a new writer.
   */
  apply(request: ApplyRequest, options?: ApplyOptions): Promise<AppliedLayer>;
  /** Has the device unmounted that a layer with `keepsMount` was applied to; a writer that cannot is killed. Never throws. */
  release(): Promise<void>;
}

/** A writer whose process is started with the first request, if not before, and ends after a time without work. */
export function startWriter({ environment, idleMs = 60_000 }: WriterOptions): Writer {
  let child: WriterChild | undefined;
  let isBusy = false;
  let idleness: Timer | undefined;

  async function end(): Promise<void> {
    idleness?.[Symbol.dispose]();
    const ended = child;
    child = undefined;
    await ended?.[Symbol.asyncDispose]();
  }

  function isIdleFromNow(): void {
    idleness?.[Symbol.dispose]();
    // What it still has mounted for another layer, the next process mounts again.
    if (child !== undefined) idleness = startTimer(idleMs, () => void end()).unref();
  }

  async function alone<T>(action: () => Promise<T>): Promise<T> {
    if (isBusy) throw internal("a writer applies one layer at a time");
    isBusy = true;
    idleness?.[Symbol.dispose]();
    try {
      return await action();
    } finally {
      if (child?.isUsable === false) child = undefined;
      isBusy = false;
      isIdleFromNow();
    }
  }

  return {
    start: () => {
      if (isBusy) return;
      try {
        child ??= new WriterChild(environment);
        isIdleFromNow();
      } catch {
        // The first layer tries again, and says why it fails.
      }
    },
    apply: (request, { signal, onProgress } = {}) =>
      alone(async () => {
        signal?.throwIfAborted();
        child ??= new WriterChild(environment);
        return await child.apply(request, { signal, onProgress });
      }),
    release: () => alone(async () => await child?.release()),
    [Symbol.asyncDispose]: end,
  };
}

type Child = RunningProcess<"pipe", "pipe", "pipe">;

class WriterChild implements AsyncDisposable {
  readonly #process: Child;
  readonly #lines: AsyncGenerator<string>;
  readonly #said: Promise<string>;
  #isUsable = true;

  constructor(environment: WriterOptions["environment"]) {
    this.#process = startProcess([process.execPath, program], {
      environment,
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#lines = linesOf(this.#process.stdout);
    this.#said = lastOf(this.#process.stderr);
  }

  get isUsable(): boolean {
    return this.#isUsable;
  }

  async apply(request: ApplyRequest, { signal, onProgress }: ApplyOptions): Promise<AppliedLayer> {
    const kill = () => this.#process.kill("SIGKILL");
    signal?.addEventListener("abort", kill, { once: true });
    try {
      await this.#send(request);
      return await this.#result(onProgress);
    } catch (error) {
      if (error instanceof SnapmillError) throw error;
      throw await this.#death(error);
    } finally {
      signal?.removeEventListener("abort", kill);
      if (signal?.aborted === true) await this.#bury();
    }
  }

  async release(): Promise<void> {
    using _limit = startTimer(releaseMs, () => this.#process.kill("SIGKILL"));
    try {
      await this.#send({ type: "release" });
      const line = await this.#lines.next();
      if (line.done !== true && parseWriterMessage(line.value).type === "released") return;
    } catch {
      // It has died, or says nonsense.
    }
    await this.#bury();
  }

  async #send(request: WriterRequest): Promise<void> {
    await this.#process.stdin.write(encodeMessage(request));
    await this.#process.stdin.flush();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isUsable = false;
    await this.#process.stdin.end();
    await this.#process.stop({ graceMs: stopGraceMs });
  }

  async #result(onProgress: OnProgress | undefined): Promise<AppliedLayer> {
    // Not `for await`: leaving the loop would close the stream, which the next request needs.
    for (let line = await this.#lines.next(); line.done !== true; line = await this.#lines.next()) {
      const message = parseWriterMessage(line.value);
      switch (message.type) {
        case "ready":
        case "released":
          break;
        case "progress":
          onProgress?.(message.readBytes, message, message.isFlushing);
          break;
        case "applied":
          return tellPhases(message);
        case "failed":
          throw new SnapmillError(message.code, message.message);
      }
    }
    throw await this.#death(undefined);
  }

  /** The process's end as an error. When this returns, its mount is gone from the kernel too. */
  async #death(cause: unknown): Promise<SnapmillError> {
    const exit = await this.#bury();
    const said = (await this.#said).trim();
    return aborted(`the writer process ${describeExit(exit)}${said === "" ? "" : `: ${said}`}`, cause);
  }

  #bury(): Promise<Exit> {
    this.#isUsable = false;
    this.#process.kill("SIGKILL");
    return this.#process.exited;
  }
}

async function lastOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  let kept = "";
  try {
    for await (const line of linesOf(stream)) kept = `${kept}${line}\n`.slice(-keptErrorBytes);
  } catch {
    // The process has died in the middle of a line.
  }
  return kept;
}
