// Room: service. Owns the verdict as it is asked for: what is wrong with a pool or with all of them, the worst first.
import { z } from "zod";
import { allWell, troublesIn, worstOf } from "../domain/verdict.ts";
import type { VerdictFacts, Watch } from "../domain/verdict-facts.ts";
import { severities, type Trouble } from "../domain/verdict-trouble.ts";
import { askUp } from "./ask-up.ts";
import type { Host } from "./host.ts";
import { operation } from "./operation.ts";
import type { PoolService } from "./service.ts";
import { recordsIfReadable } from "./service-records.ts";
import { historyPart, poolPart } from "./verdict-facts.ts";

const trouble = z.object({
  /** `notice`: intended, or over soon. `warning`: becomes a failure. `critical`: something fails now. */
  severity: z.enum(severities),
  /** For programs: `pool-full`. */
  code: z.string(),
  pool: z.string(),
  sentence: z.string(),
  /** Null: that is not known. */
  since: z.number().nullable(),
  /** What happens if nobody does anything. */
  next: z.string(),
  wayOut: z.string(),
  /** An operation that mends it, and the command that does the same; null: none can. */
  remedy: z
    .object({
      label: z.string(),
      operation: z.string(),
      /** Besides the pool. */
      input: z.record(z.string(), z.unknown()),
      command: z.string(),
    })
    .nullable(),
});
export type ShownTrouble = z.output<typeof trouble>;

/** The worst thing, and then all, the worst first; none where all is well. */
const judgement = trouble.extend({ findings: z.array(trouble) });
export type Verdict = z.output<typeof judgement>;

/** What is wrong with a pool. No job is needed: it is read from what is recorded, and from what the `up` that runs knows. */
export const poolVerdict = operation(
  { input: z.object({}), output: judgement },
  async (service: PoolService): Promise<Verdict> => {
    const { config, watch } = service;
    if (watch !== undefined) return await judge(service, watch.current());
    const asked = await askUp(config, "verdict", judgement);
    if (asked !== undefined && "answer" in asked) return asked.answer;
    return await judge(service, undefined, asked?.silence);
  },
);

/** `upSilence`: why the `up` that runs does not answer. */
async function judge(service: PoolService, watched?: Promise<Watch>, upSilence?: string): Promise<Verdict> {
  const { pool } = service.config;
  using records = recordsIfReadable(service.config);
  const [watch, found] = await Promise.all([watched, poolPart(service, Date.now())]);
  const nowMs = Date.now();
  const facts: VerdictFacts = { nowMs, pool, watch, upSilence, ...historyPart(records, pool, nowMs), ...found };
  const troubles = troublesIn(facts);
  const since = service.watch?.noteTroubles(troubles, nowMs) ?? {};
  const findings = troubles.map((each) => shown(pool, each, since));
  return { ...(findings[0] ?? shown(pool, allWell(facts), {})), findings };
}

const shown = (pool: string, found: Trouble, since: Readonly<Record<string, number>>): ShownTrouble => ({
  severity: found.severity,
  code: found.code,
  pool,
  sentence: found.sentence,
  since: found.since ?? since[found.code] ?? null,
  next: found.next,
  wayOut: found.wayOut,
  remedy: found.remedy === undefined ? null : { ...found.remedy, input: { ...found.remedy.input } },
});

/** The worst of all pools, and the verdict on each. */
export const verdict = operation(
  { input: z.object({}), output: trouble.extend({ pools: z.array(judgement) }) },
  async ({ pools }: Host) => {
    const judged = await Promise.all([...pools.values()].map((service) => poolVerdict(service, {})));
    const { findings: _findings, ...worst } = worstOf(judged as [Verdict, ...Verdict[]]);
    return { ...worst, pools: judged };
  },
);
