// Room: service. Owns how a command asks the `up` that runs beside it for what only that knows.
import type { z } from "zod";
import { type Config, paths } from "../config.ts";
import { AbortReason, Canceller } from "../domain/cancellation.ts";
import { asSnapmillError } from "../domain/errors.ts";
import { startTimer } from "../domain/timers.ts";
import { findRunning } from "../supervisor/running.ts";

/** A look at the disks takes four seconds at most. */
const answerWithinMs = 6_000;

/** `silence`: why there is no answer, a sentence that names the process. */
export type Asked<T> = { readonly answer: T } | { readonly silence: string };

/** Bun's own sentence asks for a typo in the URL. */
const noSocket = new Set(["ENOENT", "ECONNREFUSED", "ConnectionRefused", "FailedToOpenSocket"]);

const whyNot = (error: unknown): string =>
  error instanceof Error && "code" in error && noSocket.has(String(error.code))
    ? "nothing listens there"
    : asSnapmillError(error).message;

/** What `/v1/pools/{pool}/<part>` answers. Undefined: no `up` serves the pool on this host. Does not throw. */
export async function askUp<Shape extends z.ZodType>(
  config: Config,
  part: string,
  shape: Shape,
): Promise<Asked<z.output<Shape>> | undefined> {
  const running = await findRunning(config).catch(() => undefined);
  if (running?.kind !== "up" || !running.pools.includes(config.pool)) return undefined;
  const socket = paths.httpSocket(config);
  const late = new Canceller();
  const message = `no answer within ${answerWithinMs / 1000} s`;
  using _timer = startTimer(answerWithinMs, () => late.cancel(new AbortReason("deadline", message)));
  const silent = (reason: string) => ({ silence: `process ${running.pid} ${reason}` });
  try {
    const answer = await fetch(`http://localhost/v1/pools/${config.pool}/${part}`, {
      unix: socket,
      signal: late.signal,
    });
    // It runs on while a newer release is unpacked.
    if (answer.status === 404) return silent("is of another version than this command: restart it");
    return { answer: shape.parse(await answer.json()) };
  } catch (error) {
    return silent(`is starting, or does not answer at ${socket} (${whyNot(error)}): its log says why`);
  }
}
