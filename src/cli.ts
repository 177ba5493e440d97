// Room: cli. Owns the command line: runs one command, and turns how it ended into a sentence and an exit status.
import { version } from "../package.json";
import { flush, say, tolerateClosedPipes } from "./cli/output/output.ts";
import { buildProgram } from "./cli/program.ts";
import { exitStatusOf, sentenceOf } from "./cli/support/failures.ts";
import { keepFilesPrivate } from "./system/file/private-directories.ts";

keepFilesPrivate();
tolerateClosedPipes();
try {
  await buildProgram(version).parseAsync();
} catch (error) {
  const sentence = sentenceOf(error);
  if (sentence !== undefined) say(sentence);
  process.exitCode = exitStatusOf(error);
}
await flush();
// Not by itself: whatever a library still has open must not keep a finished command waiting.
process.exit();
