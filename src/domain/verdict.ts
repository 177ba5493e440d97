// Room: domain. Owns the verdict on a pool: the table of what can be wrong with it, and the order in which that is told.
import type { VerdictFacts } from "./verdict-facts.ts";
import { processRows } from "./verdict-processes.ts";
import { spaceRows } from "./verdict-space.ts";
import { type Row, type Severity, severities, type Trouble } from "./verdict-trouble.ts";
import { workRows } from "./verdict-work.ts";

/** Of the same severity, the first comes first: what keeps others from working, then what others suffer from. */
export const verdictRows = { ...processRows, ...spaceRows, ...workRows } as const satisfies Readonly<
  Record<string, Row>
>;
export type VerdictCode = keyof typeof verdictRows;
export const verdictCodes = Object.keys(verdictRows) as VerdictCode[];

const rank = (severity: Severity): number => severities.indexOf(severity);

/** Everything that is wrong, the worst first; empty: nothing. */
export function troublesIn(facts: VerdictFacts): Trouble[] {
  const found = verdictCodes.flatMap((code): Trouble[] => {
    const trouble = verdictRows[code](facts);
    return trouble === undefined ? [] : [{ ...trouble, code, since: trouble.since ?? null, remedy: trouble.remedy }];
  });
  return found.sort((one, other) => rank(other.severity) - rank(one.severity));
}

/** What is said where nothing is wrong. */
export function allWell({ pool, data }: VerdictFacts): Trouble {
  const fill = data === undefined ? "" : `, ${Math.round((100 * data.usedBytes) / data.totalBytes)} % full`;
  return {
    severity: "ok",
    code: "all-well",
    sentence: `all is well: pool ${pool} is in service${fill}`,
    since: null,
    next: "nothing is expected to go wrong within a day",
    wayOut: "nothing need be done",
    remedy: undefined,
  };
}

/** The worst of several, the first of equals. Throws if there is none. */
export const worstOf = <T extends Pick<Trouble, "severity">>(all: readonly [T, ...T[]]): T =>
  all.reduce((worst, each) => (rank(each.severity) > rank(worst.severity) ? each : worst));
