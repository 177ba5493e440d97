// Room: domain. Owns what is known of the snapmill process that serves a state directory, and its description.

export interface Running {
  readonly pid: number;
  /** `up` runs until it is stopped; a `command` runs the services until it ends. */
  readonly kind: "up" | "command";
  readonly pool: string;
  /** Without user and password. */
  readonly redisUrl: string;
  readonly httpAddress: string;
  readonly startedAtMs: number;
}

/** "process 4711 (snapmill up, pool default, since 2026-01-01T10:00:00.000Z)" */
export function describeRunning({ pid, kind, pool, startedAtMs }: Running): string {
  const what = kind === "up" ? "snapmill up" : "a snapmill command";
  return `process ${pid} (${what}, pool ${pool}, since ${new Date(startedAtMs).toISOString()})`;
}
