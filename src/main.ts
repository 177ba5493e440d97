// Room: top. Owns the program for service managers: `up`, configured by the environment and the file of settings.
import { readServed, readServedAgain } from "./config.ts";
import { AbortReason, Canceller } from "./domain/cancellation.ts";
import { asSnapmillError } from "./domain/errors.ts";
import { keepFilesPrivate } from "./system/file/private-directories.ts";
import { readyLine, runUp } from "./up.ts";

keepFilesPrivate();
const stop = new Canceller();
const stopBy = (name: string) => stop.cancel(new AbortReason("interrupted", `told to stop by ${name}`));
for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => stopBy(name));

try {
  await runUp(readServed(), {
    signal: stop.signal,
    onTerminalClosed: () => stopBy("SIGHUP"),
    readAgain: () => readServedAgain(),
    onReady: (ready) => void process.stdout.write(`${readyLine(ready)}\n`),
  });
  process.exit(0);
} catch (error) {
  process.stderr.write(`snapmill: ${asSnapmillError(error).message}\n`);
  process.exit(1);
}
