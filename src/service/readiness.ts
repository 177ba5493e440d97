// Room: service. Owns whether a pool's `up` is ready, part by part: what /readyz says, also for commands on its host.
import { z } from "zod";
import type { Config } from "../config.ts";
import { unavailable } from "../domain/errors.ts";
import { healthParts, type Readiness } from "../domain/health.ts";
import { askUp } from "./ask-up.ts";
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

/** Asks the `up` that runs for the state directory; one that does not answer is not ready. */
export async function askReadiness(config: Config): Promise<Readiness | undefined> {
  const asked = await askUp(config, "readiness", readinessShape);
  if (asked === undefined || "answer" in asked) return asked?.answer;
  return { ok: false, parts: { up: [asked.silence] } };
}
