// Room: workers. Owns the thread beside an unpack worker: it sees cancellations, and ends a worker that does not react.
import { parentPort, workerData } from "node:worker_threads";
import { type Backoff, pauseAfterMs } from "../src/domain/backoff.ts";
import type { OperationId } from "../src/domain/identifiers.ts";
import { createLogger } from "../src/logger.ts";
import { type Database, openDatabase } from "../src/metadata/database.ts";
import { isCancelled } from "../src/metadata/outbox.ts";
import type { CancelThreadOptions, FromCancelThread, ToCancelThread } from "./cancel-watch.ts";

const tickMs = 250;
/** Between looks at a database that cannot be read. */
const backoff: Backoff = { firstMs: 2 * tickMs, capMs: 5_000 };

const { databasePath, graceMs, logFormat } = workerData as CancelThreadOptions;
const say = (message: FromCancelThread): void => parentPort?.postMessage(message);

interface Watched {
  readonly operationId: OperationId;
  isCancelled: boolean;
  /**
   * Until the worker is ended. Counted in ticks, not by the clock: a process that was stopped for a while, or got no
   * processor, has had no time to react either.
   */
  leftMs: number;
}

let watched: Watched | undefined;
let database: Database | undefined;
let failures = 0;
let pauseMs = 0;

function tick(): void {
  if (watched === undefined) return;
  if (!watched.isCancelled) {
    lookWhenDue(watched);
    return;
  }
  watched.leftMs -= tickMs;
  if (watched.leftMs <= 0) endWorker(watched.operationId);
}

function lookWhenDue(job: Watched): void {
  pauseMs -= tickMs;
  if (pauseMs <= 0) look(job);
}

/** A database that cannot be read now (it is locked, the disk has an error) is opened anew at the next look. */
function look(job: Watched): void {
  try {
    database ??= openDatabase(databasePath, { mode: "readonly" });
    job.isCancelled = isCancelled(database, job.operationId);
    failures = 0;
    pauseMs = 0;
  } catch (error) {
    database?.close();
    database = undefined;
    failures += 1;
    pauseMs = pauseAfterMs(backoff, failures);
    const reason = error instanceof Error ? error.message : String(error);
    say({ type: "unreadable", failures, nextMs: pauseMs, reason });
  }
  if (job.isCancelled) say({ type: "cancelled", operationId: job.operationId });
}

/** The job's lock runs out, the next worker sees the cancellation first, and the pool's sweep removes what is left. */
function endWorker(operationId: OperationId): void {
  createLogger({ name: "unpack", level: "error", format: logFormat }).fatal(
    { operationId },
    `the job was cancelled and has not ended within ${graceMs} ms: this worker hangs, and is ended`,
  );
  process.kill(process.pid, "SIGKILL");
}

parentPort?.on("message", (message: ToCancelThread) => {
  switch (message.type) {
    case "begun":
      watched = { operationId: message.operationId, isCancelled: false, leftMs: graceMs };
      look(watched);
      say({ type: "looked", operationId: message.operationId });
      break;
    case "ended":
      watched = undefined;
      break;
    case "close":
      database?.close();
      process.exit();
  }
});
setInterval(tick, tickMs);
