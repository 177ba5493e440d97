// Room: cli. Owns the command line: runs one command, and turns how it ended into a sentence and an exit status.
import type { Command } from "commander";
import { version } from "../package.json";
import { flush, say, tolerateClosedPipes } from "./cli/output/output.ts";
import { buildProgram } from "./cli/program.ts";
import { exitStatusOf, sentenceOf } from "./cli/support/failures.ts";
import { callersTrace, wantsTraces } from "./config.ts";
import { describeWork, inWork } from "./domain/work.ts";
import { keepFilesPrivate } from "./system/file/private-directories.ts";

keepFilesPrivate();
tolerateClosedPipes();
try {
  const program = await buildProgram(version, process.argv.slice(2));
  if (wantsTraces()) await traced(program);
  else await program.parseAsync();
} catch (error) {
  const sentence = sentenceOf(error);
  if (sentence !== undefined) say(sentence);
  process.exitCode = exitStatusOf(error);
}
await flush();
// Not by itself: whatever a library still has open must not keep a finished command waiting.
process.exit();

/** Loads what traces take only here: most commands end in less time than that. */
async function traced(program: Command): Promise<void> {
  const [{ createLogger }, { startTelemetry }] = await Promise.all([
    import("./logger.ts"),
    import("./telemetry/start.ts"),
  ]);
  const log = createLogger({ name: "command", level: "warn" });
  await using _telemetry = await startTelemetry({ process: "command", isTraced: true, log });
  program.hook("preAction", (_program, command) => describeWork({ name: nameOf(command) }));
  await inWork(
    { name: "snapmill", kind: "client", parent: callersTrace() },
    async () => void (await program.parseAsync()),
  );
}

/** `snapmill pool create`, without arguments. */
function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;
}
