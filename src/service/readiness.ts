// Room: service. Owns whether a pool's `up` is ready, part by part: what /readyz says, also for commands on its host.
import { z } from "zod";
import { type Config, paths } from "../config.ts";
import { AbortReason, Canceller } from "../domain/cancellation.ts";
import { asSnapmillError, unavailable } from "../domain/errors.ts";
import { healthParts, type Readiness } from "../domain/health.ts";
import { startTimer } from "../domain/timers.ts";
import { findRunning } from "../supervisor/running.ts";
import { operation } from "./operation.ts";
import type { PoolService } from "./service.ts";

export const readinessShape = z.object({
  /** Jobs are taken and worked off. */
  ok: z.boolean(),
  /** What is wrong with each part, a sentence each; none: nothing. A part that is missing is not known. */
  parts: z.partialRecord(z.enum(healthParts), z.array(z.string()).readonly()),
});

/** Throws unavailable if no `up` runs for the pool. */
export const readiness = operation(
  { input: z.object({}), output: readinessShape },
  async (service: Pick<PoolService, "config" | "readiness">): Promise<Readiness> => {
    const found = await service.readiness();
    if (found !== undefined) return found;
    throw unavailable(`no 'snapmill up' serves pool ${service.config.pool}: start one`);
  },
);

/** A look at the disks takes four seconds at most. */
const answerWithinMs = 6_000;

/** Asks the `up` that runs for the state directory; one that does not answer is not ready. */
export async function askReadiness(config: Config): Promise<Readiness | undefined> {
  const running = await findRunning(config).catch(() => undefined);
  if (running?.kind !== "up" || !running.pools.includes(config.pool)) return undefined;
  const socket = paths.httpSocket(config);
  const late = new Canceller();
  const message = `no answer within ${answerWithinMs / 1000} s`;
  using _timer = startTimer(answerWithinMs, () => late.cancel(new AbortReason("deadline", message)));
  const unready = (reason: string): Readiness => ({
    ok: false,
    parts: { up: [`process ${running.pid} ${reason}`] },
  });
  try {
    const answer = await fetch(`http://localhost/v1/pools/${config.pool}/readiness`, {
      unix: socket,
      signal: late.signal,
    });
    // It runs on while a newer release is unpacked.
    if (answer.status === 404) return unready("is of another version than this command: restart it");
    return readinessShape.parse(await answer.json());
  } catch (error) {
    return unready(
      `is starting, or does not answer at ${socket} (${asSnapmillError(error).message}): its log says why`,
    );
  }
}
