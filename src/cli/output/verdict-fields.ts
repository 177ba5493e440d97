// Room: cli. Owns how a verdict is shown: the worst thing first, and what else is wrong below it.
import type { ShownTrouble, Verdict } from "../../service/verdict.ts";

type Field = readonly [string, string | undefined];

export function verdictFields(verdict: Verdict): Field[] {
  const { severity, next, wayOut, remedy, findings } = verdict;
  const isUrgent = severity === "critical" || severity === "warning";
  return [
    ["Verdict", line(verdict)],
    ["Next", isUrgent ? next : undefined],
    ["Way out", severity === "ok" ? undefined : [wayOut, ...(remedy === null ? [] : [remedy.command])].join(": ")],
    ...findings.slice(1).map((each): Field => ["Besides", line(each)]),
  ];
}

function line({ severity, sentence, since }: ShownTrouble): string {
  const when = since === null ? "" : ` (since ${new Date(since).toISOString()})`;
  return severity === "ok" ? sentence : `${severity}: ${sentence}${when}`;
}
