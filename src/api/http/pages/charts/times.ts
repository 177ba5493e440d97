// Room: api. Owns how times stand in charts and their numbers: to the minute, in UTC.

/** "2026-03-01 12:34 UTC" */
export const minuteTime = (ms: number): string => `${new Date(ms).toISOString().slice(0, 16).replace("T", " ")} UTC`;

/** "03-01 12:34" */
export const shortTime = (ms: number): string => minuteTime(ms).slice(5, 16);
