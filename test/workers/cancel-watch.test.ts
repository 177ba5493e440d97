// Room: test. Owns the thread beside an unpack worker: it sees cancellations, survives an unreadable database, and ends a
// worker that hangs.
import { expect, setDefaultTimeout, test } from "bun:test";
import { renameSync } from "node:fs";
import { join } from "node:path";
import { abortReason } from "../../src/domain/cancellation.ts";
import { createLogger } from "../../src/logger.ts";
import { addToOutbox, cancelInOutbox } from "../../src/metadata/outbox.ts";
import { CancelWatch } from "../../workers/cancel-watch.ts";
import { anOperation, temporaryDatabase } from "../metadata/support.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(60_000);

/** Never reached in this process. */
const graceMs = 3_600_000;

/** A watch that records its warnings. */
function openWatch(databasePath: string) {
  const warnings: string[] = [];
  const log = createLogger({ name: "test", level: "silent" });
  log.warn = (_fields: unknown, sentence?: string) => void warnings.push(sentence ?? "");
  const watch = new CancelWatch({ databasePath, graceMs, logFormat: "auto" }, log);
  return { watch, warnings, [Symbol.dispose]: () => watch[Symbol.dispose]() };
}

test("a job learns of its cancellation, before or after its start", async () => {
  using database = temporaryDatabase();
  const [early, late] = [anOperation(), anOperation()];
  for (const operationId of [early, late]) addToOutbox(database, { operationId, job: "unpack", payload: {} });
  cancelInOutbox(database, early);
  using opened = openWatch(database.path);
  {
    using job = await opened.watch.watch(early);
    expect(abortReason(job.signal)?.kind).toBe("cancelled");
  }
  using job = await opened.watch.watch(late);
  expect(job.signal.aborted).toBe(false);
  cancelInOutbox(database, late);
  await until("the job is cancelled", () => job.signal.aborted);
});

test("a thread that was started before the first job watches it, and the next one", async () => {
  using database = temporaryDatabase();
  using opened = openWatch(database.path);
  opened.watch.start();
  for (const operationId of [anOperation(), anOperation()]) {
    addToOutbox(database, { operationId, job: "unpack", payload: {} });
    using job = await opened.watch.watch(operationId);
    cancelInOutbox(database, operationId);
    await until("the job is cancelled", () => job.signal.aborted);
  }
  expect(opened.warnings).toEqual([]);
});

test("a database that cannot be read is reported and read again", async () => {
  using database = temporaryDatabase();
  const operationId = anOperation();
  cancelInOutbox(database, operationId);
  const away = `${database.path}.away`;
  renameSync(database.path, away);
  using opened = openWatch(database.path);
  using job = await opened.watch.watch(operationId);
  expect(opened.warnings[0]).toMatch(/cannot be read from the pool's database \(.+\); it is tried again/);
  expect(job.signal.aborted).toBe(false);
  renameSync(away, database.path);
  await until("the job is cancelled", () => job.signal.aborted);
});

test("a worker that does not end a cancelled job is ended by SIGKILL, one that does is not", async () => {
  using database = temporaryDatabase();
  const [ended, hanging] = [anOperation(), anOperation()];
  for (const operationId of [ended, hanging]) cancelInOutbox(database, operationId);
  const program = join(import.meta.dir, "hanging-worker.ts");
  const worker = Bun.spawn([process.execPath, program, database.path, ended, hanging], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const [said, log] = await Promise.all([new Response(worker.stdout).text(), new Response(worker.stderr).text()]);
  await worker.exited;
  expect(said.trim().split("\n")).toEqual(["ended", "hangs"]);
  expect(worker.signalCode).toBe("SIGKILL");
  expect(log).toMatch(/^\d\d:\d\d:\d\d fatal unpack .*this worker hangs, and is ended/m);
  expect(log).toContain(`operationId=${hanging}`);
});
