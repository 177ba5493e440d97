// Room: domain. Owns what is known of the snapmill process that serves a state directory, and its description.

export interface Running {
  readonly pid: number;
  /** `up` runs until it is stopped; a `command` runs the services until it ends. */
  readonly kind: "up" | "command";
  /** Those that it serves, or tries to. */
  readonly pools: readonly string[];
  /** Without user and password. */
  readonly redisUrl: string;
  readonly httpAddress: string;
  readonly isHttps: boolean;
  readonly startedAtMs: number;
}

/** "https://pool-1.example:7070/", where the pages are. */
export const pagesUrl = ({ httpAddress, isHttps }: Running): string =>
  `${isHttps ? "https" : "http"}://${httpAddress}/`;

/** "process 4711 (snapmill up, pool default, since 2026-01-01T10:00:00.000Z)" */
export function describeRunning({ pid, kind, pools, startedAtMs }: Running): string {
  const what = kind === "up" ? "snapmill up" : "a snapmill command";
  return `process ${pid} (${what}, ${poolsText(pools)}, since ${new Date(startedAtMs).toISOString()})`;
}

/** "pool default", "pools bulk and fast" */
export function poolsText(pools: readonly string[]): string {
  const last = pools.at(-1) ?? "";
  return pools.length < 2 ? `pool ${last}` : `pools ${pools.slice(0, -1).join(", ")} and ${last}`;
}
