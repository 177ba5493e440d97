// Room: api. Owns what /healthz says.

/** Of a snapmill on one machine. Without secrets: everybody who reaches the address may ask. */
export interface Health {
  /** Jobs are taken and worked off. Otherwise the answer's status is 503. */
  readonly ok: boolean;
  /** "ok", or why Redis does not answer. */
  readonly redis: string;
  readonly poolWorker: "starting" | "ready" | "waiting" | "stopped";
  readonly unpackWorkers: { readonly ready: number; readonly wanted: number };
  /** What serves containerd; off: nobody does. */
  readonly grpcServer: Health["poolWorker"] | "off";
  /** The file system that the state directory is on. */
  readonly stateDirectory: { readonly freeBytes: number; readonly totalBytes: number };
}
