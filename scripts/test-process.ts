// Room: scripts. Owns the processes that tests run in: bounded in time, ended together when the run is interrupted.
import { describeExit, type Exit, type RunningProcess, startProcess } from "../src/system/process/processes.ts";

export interface Ended {
  /** Nothing when all went well, else how it went: "exited with status 1", "took longer than 12 minutes". */
  readonly trouble: string | undefined;
  readonly exit: Exit;
  /** What it said, standard output before standard error. */
  readonly said: string;
}

/** A guest takes its leave; a test process ends its own. */
const graceMs = 5_000;

export class TestProcesses {
  readonly #running = new Set<RunningProcess>();
  #isInterrupted = false;

  get isInterrupted(): boolean {
    return this.#isInterrupted;
  }

  /** Ends what runs; from now on, nothing more is to be started. */
  interrupt(): void {
    this.#isInterrupted = true;
    for (const process of this.#running) void process.stop({ graceMs });
  }

  /** Runs a command to its end, with nothing to read. */
  async run(argv: readonly string[], environment: Readonly<Record<string, string>>, timeoutMs: number): Promise<Ended> {
    const process = startProcess(argv, { environment, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    this.#running.add(process);
    let isTimedOut = false;
    const timer = setTimeout(() => {
      isTimedOut = true;
      void process.stop({ graceMs });
    }, timeoutMs);
    const output = Promise.all([new Response(process.stdout).text(), new Response(process.stderr).text()]);
    const exit = await process.exited;
    clearTimeout(timer);
    this.#running.delete(process);
    const said = (await Promise.race([output, outputIsHeldOpen()])).join("");
    if (isTimedOut) return { trouble: `took longer than ${timeoutMs / 60_000} minutes`, exit, said };
    return { trouble: exit.kind === "exited" && exit.code === 0 ? undefined : describeExit(exit), exit, said };
  }
}

/** A process left behind may keep the pipes open for ever. */
async function outputIsHeldOpen(): Promise<string[]> {
  await Bun.sleep(10_000);
  return ["(what the tests said is not to be had: a process that they left behind holds their output open)\n"];
}
