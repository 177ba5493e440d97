// Room: api. Owns what a caller prefers (RFC 7240): how long to wait for the end of an operation.

/** A caller who waits longer asks for the operation, or listens to its events. */
export const longestWaitMs = 60_000;

/** Undefined: nothing is preferred. What is not understood is ignored, as the RFC demands. */
export function preferredWaitMs(header: string | undefined): number | undefined {
  const preferences = (header ?? "").split(",").map((text) => text.split(";")[0]?.trim().toLowerCase() ?? "");
  const seconds = preferences.flatMap((text) => /^wait\s*=\s*"?(\d+)"?$/.exec(text)?.[1] ?? [])[0];
  if (seconds !== undefined) return Math.min(Number(seconds) * 1000, longestWaitMs);
  return preferences.includes("respond-async") ? 0 : undefined;
}
