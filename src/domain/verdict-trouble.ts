// Room: domain. Owns what a verdict is made of: troubles, each with what happens next and what mends it.
import type { VerdictFacts } from "./verdict-facts.ts";

/** The worst last. `notice`: intended, or over soon. `warning`: will become a failure. `critical`: something fails now. */
export const severities = ["ok", "notice", "warning", "critical"] as const;
export type Severity = (typeof severities)[number];

/** An operation of the API that mends it, with what it is to be given, and the command that does the same. */
export interface Remedy {
  /** For a button: "Grow the pool to 30 GiB". */
  readonly label: string;
  readonly operation: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly command: string;
}

/** What a row finds in the facts. */
export interface Found {
  readonly severity: Exclude<Severity, "ok">;
  /** What is wrong, on one line, without its full stop. */
  readonly sentence: string;
  /** Null: that is not known here. */
  readonly since?: number | null;
  /** What happens if nobody does anything. */
  readonly next: string;
  /** What to do. */
  readonly wayOut: string;
  readonly remedy?: Remedy | undefined;
}

/** Decides whether one thing is wrong. Pure. */
export type Row = (facts: VerdictFacts) => Found | undefined;

export interface Trouble extends Omit<Found, "severity"> {
  readonly severity: Severity;
  readonly code: string;
  readonly since: number | null;
  readonly remedy: Remedy | undefined;
}

/** "snapmill --pool fast drain": the pool is named where it is not the usual one. */
export const commandOn = (pool: string, words: string): string =>
  pool === "default" ? `snapmill ${words}` : `snapmill --pool ${pool} ${words}`;

const hourMs = 3_600_000;

/** "less than a minute", "25 min", "3 h", "2 days". */
export function roughly(ms: number): string {
  if (ms < 60_000) return "less than a minute";
  if (ms < 1.5 * hourMs) return `${Math.round(ms / 60_000)} min`;
  if (ms < 36 * hourMs) return `${Math.round(ms / hourMs)} h`;
  return `${Math.round(ms / (24 * hourMs))} days`;
}

export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;
