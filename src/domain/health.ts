// Room: domain. Owns what /healthz and /readyz say.

/** A snapmill's life, as its clients see it. */
export type Phase = "starting" | "running" | "stopping";

/** What must work for jobs to be taken and worked off. */
export const healthParts = [
  "up",
  "redis",
  "queue",
  "database",
  "pool",
  "poolWorker",
  "unpackWorkers",
  "grpcServer",
  "disk",
] as const;
export type HealthPart = (typeof healthParts)[number];

/** What is wrong with each part, a sentence each; empty: nothing. */
export type PartReasons = Readonly<Record<HealthPart, readonly string[]>>;

/** Health of snapmill on one machine. Its sentences name paths and processes of the host; it contains no secrets. */
export interface Health {
  /** Jobs are taken and worked off. Otherwise /readyz answers 503. */
  readonly ok: boolean;
  /** Why not: those of all parts. */
  readonly reasons: readonly string[];
  readonly parts: PartReasons;
  readonly unpackWorkers: { readonly ready: number; readonly wanted: number };
  /** How long ago each worker last showed that its event loop turns (every two seconds); null: it is not up. */
  readonly heartbeatAgesMs: {
    readonly pool: number | null;
    readonly unpack: readonly (number | null)[];
    readonly grpc: number | null;
  };
  /** The file system that the state directory is on. */
  readonly stateDirectory: { readonly freeBytes: number; readonly totalBytes: number };
  /** Each pool alone: with several, one may be in trouble while the others work. */
  readonly pools: readonly { readonly pool: string; readonly ok: boolean; readonly reasons: readonly string[] }[];
}

/** What every client that reaches the address may learn. */
export interface PublicHealth {
  readonly ok: boolean;
  readonly parts: Readonly<Record<HealthPart, "ok" | "not ok">>;
}

/** What one pool's callers are told of it. A part that is missing is not known. */
export interface Readiness {
  readonly ok: boolean;
  readonly parts: Partial<PartReasons>;
}

export function publicHealth({ ok, parts }: Pick<Health, "ok" | "parts">): PublicHealth {
  const entries = healthParts.map((part) => [part, parts[part].length === 0 ? "ok" : "not ok"] as const);
  return { ok, parts: Object.fromEntries(entries) as PublicHealth["parts"] };
}
