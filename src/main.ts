// Room: top. Owns the program that a service manager runs: `up`, with its settings from the environment alone.
import { readConfig } from "./config.ts";
import { AbortReason, Canceller } from "./domain/cancellation.ts";
import { asSnapmillError } from "./domain/errors.ts";
import { LocalService } from "./service/local-service.ts";
import { readMetrics } from "./service/metrics.ts";
import { keepFilesPrivate } from "./system/file/private-directories.ts";
import { readyLine, runUp } from "./up.ts";

keepFilesPrivate();
const stop = new Canceller();
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.on(name, () => stop.cancel(new AbortReason("interrupted", `told to stop by ${name}`)));

const say = (sentence: string): void => void process.stderr.write(`snapmill: ${sentence}\n`);

try {
  const config = readConfig();
  await using service = new LocalService(config, say);
  await runUp(config, {
    signal: stop.signal,
    metrics: () => readMetrics(service, {}),
    onReady: (ready) => void process.stdout.write(`${readyLine(ready)}\n`),
  });
  process.exit(0);
} catch (error) {
  say(asSnapmillError(error).message);
  process.exit(1);
}
