// Room: cli. Owns `snapmill queues`, `drain` and `resume`: what is queued, and whether unpacks are executed.
import { type Command, Option } from "commander";
import { describeHold, type QueueKind } from "../../domain/queues.ts";
import { formatDuration, parseDuration } from "../../domain/units.ts";
import type { QueueState } from "../../service/queues.ts";
import { plural } from "../output/format.ts";
import { type Listing, printJson, printLines, printList } from "../output/output.ts";
import { openPool, whilePoolRuns } from "../pool/open.ts";
import type { Pool } from "../pool/pool.ts";
import { AlreadySaid } from "../support/failures.ts";
import { wantsJson } from "../support/image-options.ts";
import { catchInterruption } from "../support/interruption.ts";
import { accept, examples, type JsonOption, jsonOption } from "../support/options.ts";

export function addQueues(program: Command): void {
  const command = program
    .command("queues")
    .description("show what the pool's two queues hold; pause and resume the one of unpacks")
    .summary("show the queues, pause and resume unpacks")
    .addOption(jsonOption("one JSON object per queue"))
    .addHelpText("after", whatHoldsDo)
    .addHelpText(
      "after",
      examples(
        ["queues", "counts, ages, workers, and who holds them"],
        ["queues pause --reason 'slow registry'", "begin no unpack until 'queues resume'"],
      ),
    )
    .action(async (options: JsonOption, command: Command) => {
      await using pool = await openPool(command);
      const found = await pool.queues({});
      await printList(
        (["pool", "unpack"] as const).map((queue) => ({ queue, ...found[queue] })),
        queueListing,
        options,
      );
    });
  command.helpCommand(false);
  command
    .command("pause")
    .description("keep unpacks, and do not execute them; those that run go on to their end")
    .option("--reason <text>", "why; kept with the hold")
    .addOption(jsonOption("one JSON object"))
    .action(async ({ reason }: ReasonOption, command: Command) => {
      const hold = await onPool(command, (pool, signal) =>
        pool.holdQueue({ reason: reason ?? "no reason given" }, { signal }),
      );
      await (wantsJson(command) ? printJson(hold) : printLines([`unpacks are ${describeHold(hold)}`]));
    });
  addRelease(command.command("resume"));
}

const whatHoldsDo = `
A hold is kept in the pool's database: it survives restarts, and the loss of Redis. Only the queue of unpacks can be held;
a queue that another program on this Redis has paused is shown as such, and 'resume' ends that as well.`;

interface ReasonOption {
  readonly reason?: string;
}

type Shown = QueueState & { readonly queue: QueueKind };

const queueListing: Listing<Shown> = {
  columns: [
    { title: "QUEUE" },
    { title: "WAITING", align: "right" },
    { title: "ACTIVE", align: "right" },
    { title: "DELAYED", align: "right" },
    { title: "FAILED", align: "right" },
    { title: "DONE", align: "right" },
    { title: "OLDEST", align: "right" },
    { title: "WORKERS", align: "right" },
    { title: "HELD" },
  ],
  row: (shown) => [
    shown.queue,
    ...[shown.waiting, shown.active, shown.delayed, shown.failed, shown.completed].map(String),
    shown.oldestWaitingMs === 0 ? "-" : formatDuration(shown.oldestWaitingMs),
    String(shown.workers),
    heldText(shown),
  ],
  json: (shown) => shown,
};

function heldText({ hold, isPaused }: QueueState): string {
  if (hold !== null) return describeHold(hold);
  return isPaused ? "paused by another program" : "no";
}

export function addDrain(program: Command): void {
  program
    .command("drain")
    .description("for maintenance: accept unpacks, begin none, and wait until none runs; 'resume' ends it")
    .summary("hold unpacks for maintenance")
    .option("--reason <text>", "why; kept with the hold", "maintenance")
    .addOption(
      new Option("--timeout <duration>", "then unpacks that run go back into the queue before their next layer")
        .argParser(accept(parseDuration))
        .default(600_000, "10m"),
    )
    .addOption(jsonOption("one JSON object"))
    .addHelpText("after", whatDrainDoes)
    .addHelpText("after", examples(["drain --reason 'new kernel'", "before a reboot"]))
    .action(async ({ reason, timeout: timeoutMs }: { reason: string; timeout: number }, command: Command) => {
      const { hold, running, waiting } = await onPool(command, (pool, signal) =>
        pool.drain({ reason, timeoutMs }, { signal }),
      );
      if (wantsJson(command)) await printJson({ hold, running, waiting });
      else {
        await printLines([
          `the pool is ${describeHold(hold)}`,
          `${plural(running, "unpack runs", "unpacks run")}, ${plural(waiting, "waits", "wait")}`,
        ]);
      }
      if (running > 0) throw new AlreadySaid();
    });
}

const whatDrainDoes = `
Unpacks that run have --timeout to end, and once more to end the layer that they are at; what they have of an image stays.
The exit status is 1 if some still run then; so it is after Ctrl-C. The pool stays drained in any case, also when snapmill is
restarted; snapshots can still be made and removed. /readyz answers 503 until 'snapmill resume'.`;

export function addResume(program: Command): void {
  addRelease(program.command("resume")).addHelpText("after", examples(["resume", "when the maintenance is over"]));
}

const addRelease = (command: Command): Command =>
  command
    .description("execute unpacks again, after 'drain' or 'queues pause'")
    .addOption(jsonOption("one JSON object"))
    .action(async (_options: JsonOption, command: Command) => {
      const { hold, isPaused } = await onPool(command, (pool, signal) => pool.releaseQueue({}, { signal }));
      if (wantsJson(command)) return await printJson({ hold, isPaused });
      await printLines([
        hold === null
          ? "the pool was neither drained nor paused"
          : `unpacks are executed again; the pool was ${describeHold(hold)}`,
        ...(isPaused
          ? ["the queue of unpacks is still paused, by another program on this Redis: end that, and resume again"]
          : []),
      ]);
    });

/** Also where nothing runs: a hold can be made, and ended, before the next start. */
async function onPool<T>(command: Command, action: (pool: Pool, signal: AbortSignal) => Promise<T>): Promise<T> {
  using interruption = catchInterruption();
  const { signal } = interruption;
  return await whilePoolRuns(command, { signal }, (pool) => action(pool, signal));
}
