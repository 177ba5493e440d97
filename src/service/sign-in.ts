// Room: service. Owns how a command gets a link that signs a browser in, from the `up` that runs beside it.
import { z } from "zod";
import { type Config, paths } from "../config.ts";
import { AbortReason, Canceller } from "../domain/cancellation.ts";
import { asSnapmillError, failedPrecondition, unavailable } from "../domain/errors.ts";
import { startTimer } from "../domain/timers.ts";
import { findRunning } from "../supervisor/running.ts";

/** On the UNIX socket, and nowhere else. */
export const signInLinkPath = "/sign-in-link";

const shape = z.object({
  /** `http://127.0.0.1:7070/` */
  address: z.string(),
  /** Good once. */
  link: z.string(),
  endsAtMs: z.number(),
});
export type SignInLink = z.output<typeof shape>;

const answerWithinMs = 6_000;

/** Throws failed_precondition where no `up` runs, or one of another version; unavailable if it does not answer. */
export async function askForSignInLink(config: Config): Promise<SignInLink> {
  const running = await findRunning(config);
  if (running?.kind !== "up") {
    throw failedPrecondition(`no 'snapmill up' runs for ${config.stateDir}: start it, and sign in then`);
  }
  const socket = paths.httpSocket(config);
  const late = new Canceller();
  const message = `no answer within ${answerWithinMs / 1000} s`;
  using _timer = startTimer(answerWithinMs, () => late.cancel(new AbortReason("deadline", message)));
  const asked = { method: "POST", unix: socket, signal: late.signal } as const;
  const answer = await fetch(`http://localhost${signInLinkPath}`, asked).catch((error: unknown) => {
    const why = asSnapmillError(error).message;
    throw unavailable(`process ${running.pid} is starting, or does not answer at ${socket} (${why}): its log says why`);
  });
  if (answer.status === 404) {
    throw failedPrecondition(`process ${running.pid} is of another version than this command: restart it`);
  }
  if (!answer.ok) throw unavailable(detailOf(await answer.text()));
  return shape.parse(await answer.json());
}

function detailOf(text: string): string {
  try {
    return z.object({ detail: z.string() }).parse(JSON.parse(text)).detail;
  } catch {
    return `'snapmill up' gives no link: ${text.slice(0, 200)}`;
  }
}
