// Room: cli. Owns `snapmill up`.
import { type Command, InvalidArgumentError } from "commander";
import { driverChoices } from "../../config/schema.ts";
import { readServed, readServedAgain } from "../../config.ts";
import { parseSize } from "../../domain/units.ts";
import { apartFromWork } from "../../domain/work.ts";
import type { UpReady } from "../../up.ts";
import { write } from "../output/output.ts";
import { catchInterruption } from "../support/interruption.ts";
import { accept, examples, flagsOf, wholeNumber } from "../support/options.ts";

export function addUp(program: Command): void {
  program
    .command("up")
    .description("run everything on this machine: Redis, the pool, its workers, the dashboard; until Ctrl-C or SIGTERM")
    .summary("run everything on this machine")
    .option("--driver <name>", `${driverChoices.join(", ")} (SNAPMILL_DRIVER; default auto)`, parseDriver)
    .option("--size <size>", "the most a new pool may take (SNAPMILL_POOL_SIZE; default 20GiB)", parseSizeText)
    .option("--unpack-workers <n>", "images at the same time (SNAPMILL_UNPACK_WORKERS; default 2)", wholeNumber(1, 64))
    .option("--http-address <host:port>", "the dashboard's address (SNAPMILL_HTTP_ADDRESS; default 127.0.0.1:7070)")
    .option("--grpc-address <path>", grpcAddressHelp)
    .option("--take-over", "move the pool's name in Redis to this host from the one that has it")
    .addHelpText("after", whatRuns)
    .addHelpText(
      "after",
      examples(
        ["up", "with the defaults: all state is in /var/lib/snapmill"],
        ["up --state-dir ~/snapmill --size 4GiB", "a small pool in another directory"],
        ["up --pool fast --unpack-workers 8", "another pool, more images at the same time"],
      ),
    )
    .action(async (options: UpOptions, command: Command) => {
      const flags = flagsOf(command, {
        SNAPMILL_DRIVER: options.driver,
        SNAPMILL_POOL_SIZE: options.size,
        SNAPMILL_UNPACK_WORKERS: options.unpackWorkers?.toString(),
        SNAPMILL_HTTP_ADDRESS: options.httpAddress,
        SNAPMILL_GRPC_ADDRESS: options.grpcAddress,
      });
      const configs = flags.flatMap((each) => readServed(each));
      // Loaded only here: loading the dashboard takes longer than most commands do.
      const { readyLine, runUp } = await import("../../up.ts");
      using interruption = catchInterruption(["SIGINT", "SIGTERM"]);
      const { signal } = interruption;
      const onReady = (ready: UpReady) => void write(`${readyLine(ready)}\n`).catch(() => undefined);
      // What it does for its callers is part of their traces, not of one that lasts as long as it runs.
      const takeOver = options.takeOver === true;
      const readAgain = () => readServedAgain(flags);
      const onTerminalClosed = () => interruption.interrupt("SIGHUP");
      await apartFromWork(() => runUp(configs, { signal, takeOver, onReady, onTerminalClosed, readAgain }));
    });
}

const grpcAddressHelp =
  'socket for containerd, "" for none (SNAPMILL_GRPC_ADDRESS; default containerd.sock in the state directory)';

const whatRuns = `
A worker that dies is restarted. When 'up' dies, everything that it started dies, too; the next 'up' repairs what was
interrupted. If REDIS_URL is set, that Redis is used instead of a private one. In it, a pool's name belongs to the database
that used it first; 'up' with another database is refused without --take-over.`;

interface UpOptions {
  readonly driver?: string;
  readonly size?: string;
  readonly unpackWorkers?: number;
  readonly httpAddress?: string;
  readonly grpcAddress?: string;
  readonly takeOver?: true;
}

function parseDriver(text: string): string {
  if (driverChoices.some((name) => name === text)) return text;
  throw new InvalidArgumentError(`${JSON.stringify(text)} is not one of ${driverChoices.join(", ")}`);
}

/** Checked here, so that an invalid size is a usage error; the configuration parses it. */
const parseSizeText = accept((text: string) => {
  parseSize(text);
  return text;
});
