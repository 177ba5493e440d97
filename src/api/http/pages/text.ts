// Room: api. Owns how times and sentences stand on pages.

/** `2026-03-01 12:34:56 UTC`: the host's own zone is not the viewer's. */
export const clockTime = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")} UTC`;

/** Begun with a capital and ended with a full stop, as sentences of operations are not. */
export const sentence = (text: string): string =>
  `${text.slice(0, 1).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

const ages = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "min"],
  [1_000, "s"],
] as const;

/** `3 h`, `12 s`: one unit, rounded down. */
export function roughDuration(ms: number): string {
  const [size, unit] = ages.find(([each]) => ms >= each) ?? [1_000, "s"];
  return `${Math.floor(Math.max(0, ms) / size)} ${unit}`;
}
