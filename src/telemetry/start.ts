// Room: telemetry. Owns the start and the end of a process's telemetry: with the fields of its log lines always, with spans if asked for.
import type { Logger } from "pino";
import { isObserved, observeWork } from "../domain/work.ts";
import { WorkContext } from "./work-context.ts";

export interface TelemetryOptions {
  /** Which of snapmill's processes this is: "up", "pool". */
  readonly process: string;
  readonly isTraced: boolean;
  readonly log: Logger;
}

/** Before any work. Disposal sends the spans that wait, within two seconds at most; those that are made later are lost. */
export async function startTelemetry({ process, isTraced, log }: TelemetryOptions): Promise<AsyncDisposable> {
  const nothing = { [Symbol.asyncDispose]: async () => undefined };
  // The command line has done it already when it calls `up`.
  if (isObserved()) return nothing;
  if (!isTraced) {
    observeWork(new WorkContext());
    return nothing;
  }
  const [{ openTracing }, { version }] = await Promise.all([
    import("./open-telemetry.ts"),
    import("../../package.json"),
  ]);
  const tracing = openTracing({
    process,
    version,
    complain: (sentence) => log.warn(`traces: ${sentence}`),
    failed: (reason, { spans, nextMs }) =>
      log.warn(
        { spans },
        `traces cannot be sent to the collector: ${reason}; they are dropped, and it is tried again in ${nextMs / 1000} s`,
      ),
    late: (withinMs) =>
      log.warn(`traces cannot be sent to the collector: it has not taken the last ones within ${withinMs / 1000} s`),
    recovered: ({ spans }) =>
      log.info({ spans }, "traces are sent to the collector again; some were dropped meanwhile"),
  });
  observeWork(new WorkContext(tracing.spans));
  return tracing;
}
