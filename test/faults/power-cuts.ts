// Owns the power cuts: a guest is killed again and again during one sequence of operations, on files that survive it.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { childEnvironment } from "../../src/config.ts";
import type { DmControlName } from "../../src/drivers/devicemapper/control/control.ts";
import { linesOf } from "../../src/system/process/lines.ts";
import { type RunningProcess, startProcess } from "../../src/system/process/processes.ts";
import { frugalBun, inGuest } from "../guest/guest.ts";
import { bundle } from "./bundle.ts";

export interface PowerCut {
  /** Whether it came while the worker recovered from the previous cut. */
  readonly inRecovery: boolean;
  /** Operations that were answered before the cut. */
  readonly acknowledged: number;
}

export interface PowerRequest {
  readonly control: DmControlName;
  readonly cuts: number;
  readonly random: () => number;
  readonly tell: (sentence: string) => void;
  /** For one boot. */
  readonly timeoutSeconds: number;
}

/** One in so many cuts comes during the recovery from the previous cut. */
const cutsInRecovery = 4;
const operationsAtTheEnd = 8;

/** The result of one boot. */
interface Session {
  readonly acknowledged: number;
  readonly inRecovery: boolean;
  /** Undefined when the power was cut, or the guest ended well. */
  readonly failure: string | undefined;
}

/** Cuts the power `cuts` times; then a last boot ends by itself. Throws when a boot finds a fault. */
export async function cutPower(request: PowerRequest): Promise<PowerCut[]> {
  const directory = await mkdtemp(join(tmpdir(), "power-"));
  // A killed guest cannot delete its own files.
  const scratch = await mkdtemp(join(tmpdir(), "powered-"));
  const cuts: PowerCut[] = [];
  try {
    await using program = await bundle(join(import.meta.dir, "power-cut-worker.ts"));
    let acknowledged = 0;
    for (let number = 1; number <= request.cuts + 1; number++) {
      const isLast = number > request.cuts;
      const session = await boot(request, { directory, scratch, program: program.path }, acknowledged, isLast);
      acknowledged = Math.max(acknowledged, session.acknowledged);
      if (session.failure !== undefined) throw new Error(`after ${number - 1} power cuts: ${session.failure}`);
      if (isLast) request.tell("recovered from the last cut, went on, and ended in order");
      else {
        cuts.push({ inRecovery: session.inRecovery, acknowledged });
        const when = session.inRecovery ? "while it recovered" : `after ${acknowledged} operations`;
        request.tell(`power cut ${number} ${when}`);
      }
    }
    return cuts;
  } finally {
    for (const made of [directory, scratch]) await rm(made, { recursive: true, force: true });
  }
}

interface Paths {
  /** Survives the cuts. */
  readonly directory: string;
  /** For the guests' own files. */
  readonly scratch: string;
  readonly program: string;
}

async function boot(
  { control, random, timeoutSeconds }: PowerRequest,
  { directory, scratch, program }: Paths,
  acknowledged: number,
  isLast: boolean,
): Promise<Session> {
  const instructions = {
    place: { directory, control },
    acknowledged,
    more: isLast ? operationsAtTheEnd : Number.MAX_SAFE_INTEGER,
  };
  const command = [process.execPath, program, JSON.stringify(instructions)];
  const shares = [directory, join(program, "..")];
  const guest = startProcess(inGuest(command, { timeoutSeconds, shares, environment: frugalBun }), {
    environment: { ...childEnvironment({}), TMPDIR: scratch },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const inRecovery = !isLast && acknowledged > 0 && random() < 1 / cutsInRecovery;
  // An operation takes from a tenth of a second to some seconds, depending on the machine and its load.
  const remaining = Math.floor(random() * 6);
  const delayMs = Math.floor(random() * 1500);
  return await follow(guest, { acknowledged, inRecovery, remaining, delayMs, isLast });
}

interface Plan {
  readonly acknowledged: number;
  readonly inRecovery: boolean;
  /** So many operations are answered before the cut is due. */
  readonly remaining: number;
  /** Delay after that, or after the start of the recovery. */
  readonly delayMs: number;
  readonly isLast: boolean;
}

async function follow(guest: RunningProcess<"ignore", "pipe", "inherit">, plan: Plan): Promise<Session> {
  const { inRecovery } = plan;
  const heard = new Heard(plan.acknowledged);
  let timer: ReturnType<typeof setTimeout> | undefined;
  for await (const line of linesOf(guest.stdout)) {
    heard.take(line);
    if (plan.isLast || timer !== undefined || !isDue(plan, heard)) continue;
    timer = setTimeout(() => guest.kill("SIGKILL"), plan.delayMs);
  }
  clearTimeout(timer);
  const exit = await guest.exited;
  const isExpected = heard.hasEnded || (timer !== undefined && exit.kind === "killed");
  const failure = isExpected ? heard.failure : (heard.failure ?? `the guest ended by itself: ${JSON.stringify(exit)}`);
  return { acknowledged: heard.acknowledged, inRecovery, failure };
}

const isDue = ({ inRecovery, remaining }: Plan, heard: Heard): boolean =>
  inRecovery ? heard.hasStarted : heard.hasRecovered && heard.answers >= remaining;

/** What power-cut-worker.ts has reported so far. */
class Heard {
  acknowledged: number;
  answers = 0;
  hasStarted = false;
  hasRecovered = false;
  hasEnded = false;
  failure: string | undefined;

  constructor(acknowledged: number) {
    this.acknowledged = acknowledged;
  }

  take(line: string): void {
    const [word, argument] = line.split(" ");
    if (this.failure !== undefined) this.failure += `\n${line}`;
    else if (word === "failed") this.failure = line;
    if (word === "starting") this.hasStarted = true;
    if (word === "recovered") this.hasRecovered = true;
    if (word === "ended") this.hasEnded = true;
    if (word === "done") this.acknowledged = Math.max(this.acknowledged, Number(argument));
    if (word === "done") this.answers += 1;
  }
}
