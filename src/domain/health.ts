// Room: domain. Owns what /healthz says.

export type ChildState = "starting" | "ready" | "waiting" | "stopped";

/** Health of snapmill on one machine. It contains no secrets: every client that reaches the address may ask. */
export interface Health {
  /** Jobs are taken and worked off. Otherwise the answer's status is 503. */
  readonly ok: boolean;
  /** Why not, a sentence each; empty when all is well. */
  readonly reasons: readonly string[];
  /** "ok", or why Redis does not answer or does not write. */
  readonly redis: string;
  /** Paused: an operator holds the pool's jobs back. */
  readonly queue: "ok" | "paused";
  readonly poolWorker: ChildState;
  readonly unpackWorkers: { readonly ready: number; readonly wanted: number };
  /** The service for containerd; off: it is not running. */
  readonly grpcServer: ChildState | "off";
  /** How long ago each worker last showed that its event loop turns (every two seconds); null: it is not up. */
  readonly heartbeatAgesMs: {
    readonly pool: number | null;
    readonly unpack: readonly (number | null)[];
    readonly grpc: number | null;
  };
  /** The file system that the state directory is on. `failure`: why nothing new can be made there, or null. */
  readonly stateDirectory: {
    readonly freeBytes: number;
    readonly totalBytes: number;
    readonly failure: string | null;
  };
}
