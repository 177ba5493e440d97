// Room: scripts. Owns the processes that tests run in: limited in time, and ended together when the run is interrupted.
import { describeExit, type Exit, type RunningProcess, startProcess } from "../src/system/process/processes.ts";

export interface Ended {
  /** Undefined when all went well, else what happened: "exited with status 1", "took longer than 12 minutes". */
  readonly trouble: string | undefined;
  readonly exit: Exit;
  /** Its output, standard output before standard error. */
  readonly said: string;
}

/** A guest shuts down in this time, and a test process ends its children. */
const graceMs = 5_000;

export class TestProcesses {
  readonly #running = new Set<RunningProcess>();
  #isInterrupted = false;

  get isInterrupted(): boolean {
    return this.#isInterrupted;
  }

  /** Ends all running processes; none may be started from now on. */
  interrupt(): void {
    this.#isInterrupted = true;
    for (const process of this.#running) void process.stop({ graceMs });
  }

  /** Runs a command to its end, without standard input. */
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

/** A process that was left behind may keep the pipes open forever. */
async function outputIsHeldOpen(): Promise<string[]> {
  await Bun.sleep(10_000);
  return ["(the output of the tests is not available: a process that they left behind keeps it open)\n"];
}
