// A worker that ends its first job and spins in its second: hanging-worker.ts DATABASE OPERATION OPERATION
import { operationId } from "../../src/domain/identifiers.ts";
import { createLogger } from "../../src/logger.ts";
import { CancelWatch } from "../../workers/cancel-watch.ts";

const [databasePath = "", ...operations] = process.argv.slice(2);
const graceMs = 500;
const logFormat = "pretty";
const watch = new CancelWatch({ databasePath, graceMs, logFormat }, createLogger({ name: "test", level: "warn" }));

{
  using _job = await watch.watch(operationId(operations[0] ?? ""));
}
await Bun.sleep(2 * graceMs);
process.stdout.write("ended\n");
await watch.watch(operationId(operations[1] ?? ""));
process.stdout.write("hangs\n");
for (;;) performance.now();
