// Made by 'npm run openapi' from src/client and the schemas of the operations.

/** gRPC's names. */
export type ErrorCode =
  | "invalid_argument"
  | "not_found"
  | "already_exists"
  | "failed_precondition"
  | "resource_exhausted"
  | "unavailable"
  | "aborted"
  | "deadline_exceeded"
  | "internal";

/** A problem (RFC 9457) as a snapmill sends it. */
export interface ProblemDocument {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  /** gRPC's name of the failure. */
  readonly code: string;
  readonly wayOut: string;
  readonly operationId?: string;
}

/** A failure of a call: the operation's own, or one on the way. */
export declare class ApiError extends Error {
  readonly code: ErrorCode;
  /** The answer's status; undefined: there was no answer. */
  readonly status: number | undefined;
  /** gRPC's name; also of refusals that no operation knows (`unauthenticated`, `permission_denied`, `unimplemented`). */
  readonly reason: string;
  readonly wayOut: string | undefined;
  /** Of a change that the server knows: `getOperation` tells its state. */
  readonly operationId: string | undefined;
  /** Of a change: as its `operationId`, the same request can be sent again, and has one effect. */
  readonly repeatAs: string | undefined;
  readonly problem: ProblemDocument | undefined;
  /** How long the server asks to wait before the next attempt. */
  readonly retryAfterMs: number | undefined;
  /** Whether the same request may succeed in a moment. */
  readonly mayPass: boolean;
  /** The path of the operation that this one repeats, and which is under way. */
  readonly place: string | undefined;
  private constructor();
}

export interface ClientOptions {
  /** `https://HOST[:PORT]`, `http://127.0.0.1:PORT` or `unix:///PATH`. */
  readonly host: string;
  /** As `snapmill token create` prints it; none is needed on a socket. */
  readonly token?: string | undefined;
  /** The certificates that are trusted, as PEM. Default: the system's. */
  readonly ca?: string | undefined;
  /** How often what may pass is tried. Default: 4 times. */
  readonly attempts?: number | undefined;
}

export interface ReadOptions {
  /** Ends the call, which then throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** `Progress`: what a long operation tells of itself, such as the layers of an unpack, bottom first. */
export interface ChangeOptions<Progress = never> extends ReadOptions {
  /** Makes the change repeatable: with the same ID it has one effect, and one answer. Default: a fresh one. */
  readonly operationId?: string | undefined;
  /** Why, for the audit log. */
  readonly reason?: string | undefined;
  /** How long to wait for the answer; a long operation is ended by its signal instead. Default: ten minutes. */
  readonly deadlineMs?: number | undefined;
  /** Called whenever there is progress, of a long operation. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** The operations on one pool. */
export interface PoolClient {
  /** List snapshots, sorted by key; of several filters (containerd's syntax), one must match. */
  readonly listSnapshots: (
    given: { readonly scope?: string | undefined; readonly filters?: readonly string[] | undefined },
    options?: ReadOptions,
  ) => AsyncIterable<{
    readonly scope: string;
    readonly key: string;
    readonly kind: "view" | "active" | "committed";
    readonly parent?: string | undefined;
    readonly labels: Record<string, string>;
    readonly createdAtMs: number;
    readonly updatedAtMs: number;
  }>;
  /** One snapshot. */
  readonly stat: (
    given: { readonly scope?: string | undefined; readonly key: string },
    options?: ReadOptions,
  ) => Promise<{
    readonly scope: string;
    readonly key: string;
    readonly kind: "view" | "active" | "committed";
    readonly parent?: string | undefined;
    readonly labels: Record<string, string>;
    readonly createdAtMs: number;
    readonly updatedAtMs: number;
  }>;
  /** What a snapshot uses beyond its parent. */
  readonly usage: (
    given: { readonly scope?: string | undefined; readonly key: string },
    options?: ReadOptions,
  ) => Promise<{ readonly sizeBytes: number; readonly inodes: number }>;
  /** How an active snapshot or a view is mounted on the pool's host. */
  readonly mounts: (
    given: { readonly scope?: string | undefined; readonly key: string },
    options?: ReadOptions,
  ) => Promise<{
    readonly mounts: readonly {
      readonly type: "ext4" | "xfs";
      readonly source: string;
      readonly options: readonly string[];
    }[];
  }>;
  /** The directories of the pool's host on which an active snapshot or a view is mounted. */
  readonly mountPoints: (
    given: { readonly scope?: string | undefined; readonly key: string },
    options?: ReadOptions,
  ) => Promise<string[]>;
  /** Create an active snapshot, which is writable. */
  readonly prepare: (
    given: {
      readonly scope?: string | undefined;
      readonly key: string;
      readonly parent?: string | undefined;
      readonly labels?: Record<string, string> | undefined;
    },
    options?: ChangeOptions,
  ) => Promise<{
    readonly mounts: readonly {
      readonly type: "ext4" | "xfs";
      readonly source: string;
      readonly options: readonly string[];
    }[];
  }>;
  /** Create a view, which is read-only. */
  readonly view: (
    given: {
      readonly scope?: string | undefined;
      readonly key: string;
      readonly parent?: string | undefined;
      readonly labels?: Record<string, string> | undefined;
    },
    options?: ChangeOptions,
  ) => Promise<{
    readonly mounts: readonly {
      readonly type: "ext4" | "xfs";
      readonly source: string;
      readonly options: readonly string[];
    }[];
  }>;
  /** Turn an active snapshot into a committed one of the given name; its key is free again. */
  readonly commit: (
    given: {
      readonly scope?: string | undefined;
      readonly name: string;
      readonly key: string;
      readonly labels?: Record<string, string> | undefined;
    },
    options?: ChangeOptions,
  ) => Promise<object>;
  /** Commit what an active snapshot holds now under the given name; it stays active, as a child of that. */
  readonly checkpoint: (
    given: {
      readonly scope?: string | undefined;
      readonly name: string;
      readonly key: string;
      readonly labels?: Record<string, string> | undefined;
      readonly keyLabels?: Record<string, string> | undefined;
    },
    options?: ChangeOptions,
  ) => Promise<object>;
  /** Set these labels and leave the others; an empty value removes a label. */
  readonly label: (
    given: { readonly scope?: string | undefined; readonly key: string; readonly labels: Record<string, string> },
    options?: ChangeOptions,
  ) => Promise<{
    readonly scope: string;
    readonly key: string;
    readonly kind: "view" | "active" | "committed";
    readonly parent?: string | undefined;
    readonly labels: Record<string, string>;
    readonly createdAtMs: number;
    readonly updatedAtMs: number;
  }>;
  /** Remove a snapshot. */
  readonly remove: (
    given: { readonly scope?: string | undefined; readonly key: string },
    options?: ChangeOptions,
  ) => Promise<object>;
  /** Remove a snapshot, and wait until its device is gone and the space is free. */
  readonly removeCompletely: (
    given: { readonly scope?: string | undefined; readonly key: string },
    options?: ChangeOptions,
  ) => Promise<object>;
  /** The unpacked images, once for each of their names, each with its snapshot and the space that it takes. */
  readonly listImages: (
    given: Record<string, never>,
    options?: ReadOptions,
  ) => Promise<
    {
      readonly image: string | null;
      readonly platform: string;
      readonly manifestDigest: string;
      readonly resolvedDigest?: string | undefined;
      readonly chainId: string;
      readonly snapshot: string;
      readonly layers: {
        readonly digest: string;
        readonly diffId: string;
        readonly chainId: string;
        readonly compressedBytes: number;
        readonly bytes: number;
        readonly cached: boolean;
        readonly ms: number;
      }[];
      readonly unpackedAtMs: number;
      readonly lastAskedAtMs: number;
      readonly pinnedAtMs?: number | undefined;
      readonly exclusiveBytes: number;
      readonly sharedBytes: number;
    }[]
  >;
  /** Unpack an image; once accepted, it goes on whoever waits for it. */
  readonly unpack: (
    given: {
      readonly reference: string;
      readonly platform?: string | undefined;
      readonly registry?:
        | {
            readonly authFile?: string | undefined;
            readonly plainHttp?: boolean | undefined;
            readonly minBytesPerSecond?: number | undefined;
            readonly maxBytesPerSecond?: number | undefined;
            readonly group?: string | undefined;
          }
        | undefined;
      readonly batch?:
        | {
            readonly batch: string;
            readonly priority: number;
            readonly attempts: number;
            readonly timeLimitMs?: number | undefined;
          }
        | undefined;
    },
    options?: ChangeOptions<
      readonly {
        readonly digest: string;
        readonly state: "waiting" | "unpacking" | "unpacked" | "cached";
        readonly compressedBytes: number;
        readonly readBytes: number;
      }[]
    >,
  ) => Promise<{
    readonly image: string;
    readonly platform: string;
    readonly manifestDigest: string;
    readonly resolvedDigest?: string | undefined;
    readonly chainId: string;
    readonly snapshot: string;
    readonly layers: {
      readonly digest: string;
      readonly diffId: string;
      readonly chainId: string;
      readonly compressedBytes: number;
      readonly bytes: number;
      readonly cached: boolean;
      readonly ms: number;
    }[];
  }>;
  /** What the unpack of images would fetch and write, and whether there is room for it; fetches no layer. */
  readonly planUnpack: (
    given: {
      readonly platform?: string | undefined;
      readonly registry?:
        | {
            readonly authFile?: string | undefined;
            readonly plainHttp?: boolean | undefined;
            readonly minBytesPerSecond?: number | undefined;
            readonly maxBytesPerSecond?: number | undefined;
            readonly group?: string | undefined;
          }
        | undefined;
      readonly references: readonly string[];
    },
    options?: ChangeOptions,
  ) => Promise<{
    readonly images: readonly {
      readonly reference: string;
      readonly platform: string;
      readonly manifestDigest: string;
      readonly layers: number;
      readonly heldLayers: number;
      readonly compressedBytes: number;
      readonly heldBytes: number;
      readonly fetchBytes: number;
      readonly estimatedBytes: number;
    }[];
    readonly failed: readonly {
      readonly reference: string;
      readonly code:
        | "invalid_argument"
        | "not_found"
        | "already_exists"
        | "failed_precondition"
        | "resource_exhausted"
        | "unavailable"
        | "aborted"
        | "deadline_exceeded"
        | "internal";
      readonly message: string;
    }[];
    readonly together: {
      readonly layers: number;
      readonly heldLayers: number;
      readonly compressedBytes: number;
      readonly heldBytes: number;
      readonly fetchBytes: number;
      readonly estimatedBytes: number;
    };
    readonly expansion: { readonly factor: number; readonly basis: "history" | "assumed" } | null;
    readonly spareBytes: number | null;
    readonly fits: boolean;
  }>;
  /** Cancel an accepted unpack, by its operation ID. */
  readonly cancelUnpack: (given: { readonly operationId: string }, options?: ChangeOptions) => Promise<object>;
  /** The last unpacks that have ended, the latest first: their layers, and when each stage of them was. */
  readonly listUnpacks: (
    given: { readonly state?: "unpacked" | "failed" | "cancelled" | undefined; readonly find?: string | undefined },
    options?: ReadOptions,
  ) => AsyncIterable<{
    readonly operationId: string;
    readonly image: string;
    readonly platform: string | null;
    readonly registry: {
      readonly authFile?: string | undefined;
      readonly plainHttp?: boolean | undefined;
      readonly minBytesPerSecond?: number | undefined;
      readonly maxBytesPerSecond?: number | undefined;
      readonly group?: string | undefined;
    } | null;
    readonly state: "queued" | "running" | "unpacked" | "failed" | "cancelled";
    readonly queuedAtMs: number | null;
    readonly startedAtMs: number | null;
    readonly endedAtMs: number | null;
    readonly failure: {
      readonly code:
        | "invalid_argument"
        | "not_found"
        | "already_exists"
        | "failed_precondition"
        | "resource_exhausted"
        | "unavailable"
        | "aborted"
        | "deadline_exceeded"
        | "internal";
      readonly message: string;
    } | null;
    readonly layers: {
      readonly digest: string;
      readonly state: "waiting" | "unpacking" | "unpacked" | "cached";
      readonly compressedBytes: number;
      readonly readBytes: number;
      readonly stages: {
        readonly stage: "wait" | "prepare" | "fetch" | "mount" | "inflate" | "write" | "flush" | "commit";
        readonly startMs: number;
        readonly endMs: number | null;
        readonly spentMs: number | null;
      }[];
    }[];
    readonly savedBytes: number;
    readonly number: number;
  }>;
  /** How an unpack goes, or went: its layers, and when each stage of them was. */
  readonly getUnpack: (
    given: { readonly operationId: string },
    options?: ReadOptions,
  ) => Promise<{
    readonly operationId: string;
    readonly image: string;
    readonly platform: string | null;
    readonly registry: {
      readonly authFile?: string | undefined;
      readonly plainHttp?: boolean | undefined;
      readonly minBytesPerSecond?: number | undefined;
      readonly maxBytesPerSecond?: number | undefined;
      readonly group?: string | undefined;
    } | null;
    readonly state: "queued" | "running" | "unpacked" | "failed" | "cancelled";
    readonly queuedAtMs: number | null;
    readonly startedAtMs: number | null;
    readonly endedAtMs: number | null;
    readonly failure: {
      readonly code:
        | "invalid_argument"
        | "not_found"
        | "already_exists"
        | "failed_precondition"
        | "resource_exhausted"
        | "unavailable"
        | "aborted"
        | "deadline_exceeded"
        | "internal";
      readonly message: string;
    } | null;
    readonly layers: {
      readonly digest: string;
      readonly state: "waiting" | "unpacking" | "unpacked" | "cached";
      readonly compressedBytes: number;
      readonly readBytes: number;
      readonly stages: {
        readonly stage: "wait" | "prepare" | "fetch" | "mount" | "inflate" | "write" | "flush" | "commit";
        readonly startMs: number;
        readonly endMs: number | null;
        readonly spentMs: number | null;
      }[];
    }[];
    readonly savedBytes: number;
  }>;
  /** Remove names of images; an image goes with its last name, with every layer that nothing else uses. */
  readonly removeImages: (
    given: {
      readonly targets: ({ readonly reference: string } | { readonly digest: string })[];
      readonly platform?: string | undefined;
    },
    options?: ChangeOptions,
  ) => Promise<{
    readonly names: readonly { readonly reference: string; readonly platform: string }[];
    readonly images: readonly { readonly manifestDigest: string; readonly platform: string }[];
    readonly layers: readonly { readonly chainId: string; readonly bytes: number }[];
    readonly isMore: boolean;
    readonly kept: readonly {
      readonly manifestDigest: string;
      readonly platform: string;
      readonly kind: "pinned" | "asked for" | "in use";
      readonly reason: string;
    }[];
  }>;
  /** Remove images that were not requested lately, by rules, never pinned ones. */
  readonly pruneImages: (
    given: {
      readonly olderThanMs?: number | undefined;
      readonly keep?: number | undefined;
      readonly untilFreeShare?: number | undefined;
      readonly isDryRun?: boolean | undefined;
    },
    options?: ChangeOptions,
  ) => Promise<{
    readonly layers: readonly { readonly chainId: string; readonly bytes: number }[];
    readonly kept: readonly {
      readonly manifestDigest: string;
      readonly platform: string;
      readonly kind: "pinned" | "asked for" | "in use";
      readonly reason: string;
    }[];
    readonly images: {
      readonly manifestDigest: string;
      readonly platform: string;
      readonly references: string[];
      readonly lastAskedAtMs: number;
    }[];
    readonly space: { readonly usedBytes: number; readonly totalBytes: number } | null;
  }>;
  /** Protect images from removal. */
  readonly pinImages: (
    given: {
      readonly targets: ({ readonly reference: string } | { readonly digest: string })[];
      readonly platform?: string | undefined;
    },
    options?: ChangeOptions,
  ) => Promise<{ readonly images: { readonly manifestDigest: string; readonly platform: string }[] }>;
  /** Allow pinned images to be removed again. */
  readonly unpinImages: (
    given: {
      readonly targets: ({ readonly reference: string } | { readonly digest: string })[];
      readonly platform?: string | undefined;
    },
    options?: ChangeOptions,
  ) => Promise<{ readonly images: { readonly manifestDigest: string; readonly platform: string }[] }>;
  /** The batches, the latest first, with their progress. */
  readonly listBatches: (
    given: Record<string, never>,
    options?: ReadOptions,
  ) => Promise<
    {
      readonly batch: string;
      readonly name?: string | undefined;
      readonly state: "running" | "cancelling" | "cancelled" | "done" | "failed";
      readonly counts: {
        readonly pending: number;
        readonly running: number;
        readonly done: number;
        readonly present: number;
        readonly failed: number;
        readonly cancelled: number;
      };
      readonly priority: number;
      readonly parallel: number;
      readonly attempts: number;
      readonly failAfterPercent?: number | undefined;
      readonly timeLimitMs?: number | undefined;
      readonly createdAtMs: number;
      readonly cancelledAtMs?: number | undefined;
      readonly cancelReason?: string | undefined;
    }[]
  >;
  /** One batch and its progress. */
  readonly batch: (
    given: { readonly batch: string },
    options?: ReadOptions,
  ) => Promise<{
    readonly batch: string;
    readonly name?: string | undefined;
    readonly state: "running" | "cancelling" | "cancelled" | "done" | "failed";
    readonly counts: {
      readonly pending: number;
      readonly running: number;
      readonly done: number;
      readonly present: number;
      readonly failed: number;
      readonly cancelled: number;
    };
    readonly priority: number;
    readonly parallel: number;
    readonly attempts: number;
    readonly failAfterPercent?: number | undefined;
    readonly timeLimitMs?: number | undefined;
    readonly createdAtMs: number;
    readonly cancelledAtMs?: number | undefined;
    readonly cancelReason?: string | undefined;
  }>;
  /** Submit a batch of images; the same one again changes nothing. */
  readonly submitBatch: (
    given: {
      readonly batch: string;
      readonly name?: string | undefined;
      readonly priority?: number | undefined;
      readonly parallel?: number | undefined;
      readonly attempts?: number | undefined;
      readonly failAfterPercent?: number | undefined;
      readonly timeLimitMs?: number | undefined;
      readonly platform?: string | undefined;
      readonly registry?:
        | {
            readonly authFile?: string | undefined;
            readonly plainHttp?: boolean | undefined;
            readonly minBytesPerSecond?: number | undefined;
            readonly maxBytesPerSecond?: number | undefined;
            readonly group?: string | undefined;
          }
        | undefined;
      readonly items: {
        readonly reference: string;
        readonly platform?: string | undefined;
        readonly registry?:
          | {
              readonly authFile?: string | undefined;
              readonly plainHttp?: boolean | undefined;
              readonly minBytesPerSecond?: number | undefined;
              readonly maxBytesPerSecond?: number | undefined;
              readonly group?: string | undefined;
            }
          | undefined;
      }[];
    },
    options?: ChangeOptions,
  ) => Promise<{ readonly items: number; readonly isNew: boolean }>;
  /** Delete the record of a batch that has ended; its images stay. */
  readonly removeBatch: (given: { readonly batch: string }, options?: ChangeOptions) => Promise<object>;
  /** The images of a batch, in the order of their submission. */
  readonly listBatchItems: (
    given: {
      readonly batch: string;
      readonly states?: readonly ("pending" | "running" | "done" | "present" | "failed" | "cancelled")[] | undefined;
    },
    options?: ReadOptions,
  ) => AsyncIterable<{
    readonly position: number;
    readonly reference: string;
    readonly platform: string;
    readonly registry?:
      | {
          readonly authFile?: string | undefined;
          readonly plainHttp?: boolean | undefined;
          readonly minBytesPerSecond?: number | undefined;
          readonly maxBytesPerSecond?: number | undefined;
          readonly group?: string | undefined;
        }
      | undefined;
    readonly state: "pending" | "running" | "done" | "present" | "failed" | "cancelled";
    readonly attempts: number;
    readonly operationId?: string | undefined;
    readonly failure?:
      | {
          readonly code:
            | "invalid_argument"
            | "not_found"
            | "already_exists"
            | "failed_precondition"
            | "resource_exhausted"
            | "unavailable"
            | "aborted"
            | "deadline_exceeded"
            | "internal";
          readonly message: string;
          readonly stage: "queue" | "resolve" | "fetch" | "prepare" | "unpack" | "commit";
        }
      | undefined;
    readonly startedAtMs?: number | undefined;
    readonly endedAtMs?: number | undefined;
  }>;
  /** Cancel what of a batch has not ended. */
  readonly cancelBatch: (
    given: { readonly batch: string; readonly reason?: string | undefined },
    options?: ChangeOptions,
  ) => Promise<{ readonly cancelled: number; readonly running: number }>;
  /** Retry what of a batch has failed or was cancelled. */
  readonly retryBatch: (
    given: { readonly batch: string; readonly failedOnly?: boolean | undefined },
    options?: ChangeOptions,
  ) => Promise<{ readonly retried: number }>;
  /** What runs, what is queued, and how full the pool is. */
  readonly status: (
    given: Record<string, never>,
    options?: ReadOptions,
  ) => Promise<{
    readonly stateDir: string;
    readonly pool: string;
    readonly inflate: { readonly library: string; readonly version: string | null; readonly reason: string | null };
    readonly running: {
      readonly pid: number;
      readonly kind: "up" | "command";
      readonly pools: readonly string[];
      readonly redisUrl: string;
      readonly httpAddress: string;
      readonly isHttps?: boolean | undefined;
      readonly startedAtMs: number;
    } | null;
    readonly readiness: {
      readonly ok: boolean;
      readonly parts: Partial<
        Record<
          "up" | "redis" | "queue" | "database" | "pool" | "poolWorker" | "unpackWorkers" | "grpcServer" | "disk",
          readonly string[]
        >
      >;
    } | null;
    readonly redis: { readonly url: string; readonly failure: string | null } | null;
    readonly queues: {
      readonly pool: {
        readonly waiting: number;
        readonly active: number;
        readonly delayed: number;
        readonly completed: number;
        readonly failed: number;
      };
      readonly unpack: {
        readonly waiting: number;
        readonly active: number;
        readonly delayed: number;
        readonly completed: number;
        readonly failed: number;
      };
    } | null;
    readonly oldestWaitingMs: { readonly pool: number; readonly unpack: number } | null;
    readonly workers: { readonly pool: number; readonly unpack: number } | null;
    readonly claim: {
      readonly database: number;
      readonly host: string;
      readonly stateDir: string;
      readonly claimedAt: string;
      readonly seenAt: string;
      readonly isOurs: boolean;
    } | null;
    readonly metadata: {
      readonly driver: string | null;
      readonly snapshots: Record<"view" | "active" | "committed", number>;
      readonly devices: Partial<
        Record<"creating" | "activated" | "suspending" | "deactivated" | "removing" | "removed" | "faulty", number>
      >;
      readonly pendingUnpacks: number;
      readonly hold: {
        readonly kind: "paused" | "drained";
        readonly heldBy: string;
        readonly reason: string;
        readonly sinceMs: number;
        readonly handOverAtMs: number | null;
      } | null;
      readonly batchItems: Record<"pending" | "running" | "done" | "present" | "failed" | "cancelled", number>;
      readonly pendingRemovals: number;
      readonly failedRemovals: number;
      readonly discardedRemovals: number;
      readonly setAside: number;
      readonly space: { readonly usedBytes: number; readonly totalBytes: number } | null;
      readonly metadataSpace: { readonly usedBytes: number; readonly totalBytes: number } | null;
      readonly poolState: string | null;
    } | null;
  }>;
  /** What is wrong with the pool, the worst first: since when, what happens next, and what mends it. */
  readonly poolVerdict: (
    given: Record<string, never>,
    options?: ReadOptions,
  ) => Promise<{
    readonly severity: "ok" | "notice" | "warning" | "critical";
    readonly code: string;
    readonly pool: string;
    readonly sentence: string;
    readonly since: number | null;
    readonly next: string;
    readonly wayOut: string;
    readonly remedy: {
      readonly label: string;
      readonly operation: string;
      readonly input: Record<string, unknown>;
      readonly command: string;
    } | null;
    readonly findings: {
      readonly severity: "ok" | "notice" | "warning" | "critical";
      readonly code: string;
      readonly pool: string;
      readonly sentence: string;
      readonly since: number | null;
      readonly next: string;
      readonly wayOut: string;
      readonly remedy: {
        readonly label: string;
        readonly operation: string;
        readonly input: Record<string, unknown>;
        readonly command: string;
      } | null;
    }[];
  }>;
  /** What the pool's worker and its unpacks do at this moment, and what has failed within a day. */
  readonly now: (
    given: Record<string, never>,
    options?: ReadOptions,
  ) => Promise<{
    readonly atMs: number;
    readonly worker: {
      readonly operation: string | null;
      readonly operationId: string | null;
      readonly sinceMs: number | null;
      readonly usuallyWithinMs: number | null;
      readonly isSlow: boolean;
    } | null;
    readonly unpacks:
      | {
          readonly operationId: string;
          readonly image: string;
          readonly platform: string | null;
          readonly registry: {
            readonly authFile?: string | undefined;
            readonly plainHttp?: boolean | undefined;
            readonly minBytesPerSecond?: number | undefined;
            readonly maxBytesPerSecond?: number | undefined;
            readonly group?: string | undefined;
          } | null;
          readonly state: "queued" | "running" | "unpacked" | "failed" | "cancelled";
          readonly queuedAtMs: number | null;
          readonly startedAtMs: number | null;
          readonly endedAtMs: number | null;
          readonly failure: {
            readonly code:
              | "invalid_argument"
              | "not_found"
              | "already_exists"
              | "failed_precondition"
              | "resource_exhausted"
              | "unavailable"
              | "aborted"
              | "deadline_exceeded"
              | "internal";
            readonly message: string;
          } | null;
          readonly layers: {
            readonly digest: string;
            readonly state: "waiting" | "unpacking" | "unpacked" | "cached";
            readonly compressedBytes: number;
            readonly readBytes: number;
            readonly stages: {
              readonly stage: "wait" | "prepare" | "fetch" | "mount" | "inflate" | "write" | "flush" | "commit";
              readonly startMs: number;
              readonly endMs: number | null;
              readonly spentMs: number | null;
            }[];
          }[];
          readonly savedBytes: number;
        }[]
      | null;
    readonly failures: { readonly operation: string; readonly code: string; readonly count: number }[];
  }>;
  /** The last hour, day or quarter: fill, queues, throughput, failures; what was done; when the pool is full. */
  readonly history: (
    given: { readonly range?: "hour" | "day" | "quarter" | undefined; readonly points?: number | undefined },
    options?: ReadOptions,
  ) => Promise<{
    readonly range: "hour" | "day" | "quarter";
    readonly fromMs: number;
    readonly untilMs: number;
    readonly stepMs: number;
    readonly points: {
      readonly atMs: number;
      readonly data: { readonly usedBytes: number; readonly totalBytes: number } | null;
      readonly metadata: { readonly usedBytes: number; readonly totalBytes: number } | null;
      readonly snapshots: number | null;
      readonly devices: number | null;
      readonly pendingRemovals: number | null;
      readonly failedRemovals: number | null;
      readonly waitingJobs: number | null;
      readonly oldestWaitingMs: number | null;
      readonly runningUnpacks: number | null;
      readonly unpackedBytesPerSecond: number;
      readonly unpackedLayersPerSecond: number;
      readonly restarts: number;
      readonly failures: Record<string, number>;
      readonly readyShare: number;
    }[];
    readonly marks: {
      readonly kind: "grow" | "cleanup" | "reset" | "drain" | "pause" | "resume" | "prune" | "unpack" | "batch";
      readonly atMs: number;
      readonly endedAtMs: number | null;
      readonly subject: string | null;
      readonly token: string | null;
      readonly operationId: string | null;
      readonly code: string;
    }[];
    readonly trend: {
      readonly data: { readonly fullAtMs: number; readonly bytesPerSecond: number; readonly fit: number } | null;
      readonly metadata: { readonly fullAtMs: number; readonly bytesPerSecond: number; readonly fit: number } | null;
    };
  }>;
  /** What takes the pool's space: each image for itself, what is shared, and what nothing claims. */
  readonly space: (
    given: Record<string, never>,
    options?: ReadOptions,
  ) => Promise<{
    readonly usedBytes: number | null;
    readonly totalBytes: number | null;
    readonly images: {
      readonly names: string[];
      readonly manifestDigest: string;
      readonly platform: string;
      readonly snapshot: string;
      readonly exclusiveBytes: number;
    }[];
    readonly sharedBytes: number;
    readonly otherBytes: number;
    readonly unclaimedBytes: number;
    readonly removalBytes: number;
    readonly restBytes: number | null;
  }>;
  /** Whether jobs are taken and worked off, and what is wrong with each part that does not work. */
  readonly readiness: (
    given: Record<string, never>,
    options?: ReadOptions,
  ) => Promise<{
    readonly ok: boolean;
    readonly parts: Partial<
      Record<
        "up" | "redis" | "queue" | "database" | "pool" | "poolWorker" | "unpackWorkers" | "grpcServer" | "disk",
        readonly string[]
      >
    >;
  }>;
  /** The pools that are claimed in this pool's Redis, and the host of each. */
  readonly listHosts: (
    given: Record<string, never>,
    options?: ReadOptions,
  ) => Promise<
    {
      readonly pool: string;
      readonly host: string;
      readonly stateDir: string;
      readonly database: number;
      readonly isAlive: boolean;
      readonly claimedAtMs: number;
      readonly seenAtMs: number;
      readonly unseenMs: number;
    }[]
  >;
  /** The thin-pool: its mode, how full it is, its owner, and what is wrong with it. */
  readonly poolStatus: (
    given: Record<string, never>,
    options?: ReadOptions,
  ) => Promise<{
    readonly deviceName: string;
    readonly isLoaded: boolean;
    readonly mode: "rw" | "ro" | "out_of_data_space" | "failed" | null;
    readonly needsCheck: boolean;
    readonly trouble: string | null;
    readonly data: { readonly usedBytes: number; readonly totalBytes: number };
    readonly metadata: { readonly usedBytes: number; readonly totalBytes: number };
    readonly transactionId: number;
    readonly owner: { readonly owner: number; readonly takeOver: number } | null;
    readonly definition: {
      readonly pool: string;
      readonly storage:
        | { readonly kind: "devices"; readonly dataDevice: string; readonly metadataDevice: string }
        | {
            readonly kind: "loopback";
            readonly directory: string;
            readonly dataBytes: number;
            readonly metadataBytes: number;
          };
      readonly blockSectors: number;
      readonly lowWaterBlocks: number;
      readonly whenFull: "error" | "queue";
    };
    readonly devices: Partial<
      Record<"creating" | "activated" | "suspending" | "deactivated" | "removing" | "removed" | "faulty", number>
    > | null;
  }>;
  /** How much a reset of the pool would remove. */
  readonly poolContents: (
    given: Record<string, never>,
    options?: ReadOptions,
  ) => Promise<{ readonly snapshots: number; readonly images: number; readonly devices: number }>;
  /** Grow a thin-pool: one in files to these sizes, one on devices to theirs. */
  readonly growPool: (
    given: { readonly dataBytes?: number | undefined; readonly metadataBytes?: number | undefined },
    options?: ChangeOptions,
  ) => Promise<{ readonly dataBytes: number; readonly metadataBytes: number }>;
  /** Remove every snapshot, image and device of the pool. */
  readonly resetPool: (
    given: Record<string, never>,
    options?: ChangeOptions,
  ) => Promise<{ readonly removedDevices: number }>;
  /** A device by its name: its state, and the snapshots that are on it. */
  readonly getDevice: (
    given: { readonly device: string },
    options?: ReadOptions,
  ) => Promise<{
    readonly device: string;
    readonly state: "creating" | "activated" | "suspending" | "deactivated" | "removing" | "removed" | "faulty";
    readonly sizeBytes: number;
    readonly snapshots: { readonly scope: string; readonly key: string }[];
  }>;
  /** Report what is not in order in the pool; with `repair`, repair what is safe to repair. */
  readonly doctor: (
    given: { readonly repair?: boolean | undefined; readonly only?: string[] | undefined },
    options?: ChangeOptions,
  ) => Promise<{
    readonly findings: {
      readonly id: string;
      readonly kind:
        | "pool-state"
        | "metadata-snapshot-held"
        | "left-attached"
        | "content-lost"
        | "record-without-snapshot"
        | "device-without-record"
        | "activation-without-device"
        | "wrong-activation"
        | "stuck-state"
        | "faulty-device"
        | "interrupted-operation"
        | "dead-unpack"
        | "free-id-in-use"
        | "removal-pending"
        | "removal-given-up"
        | "removal-discarded"
        | "damaged-job"
        | "unpack-pending"
        | "damaged-record"
        | "operation-set-aside";
      readonly subject: string;
      readonly sentence: string;
      readonly wayOut: string;
      readonly repairable: boolean;
      readonly repaired: boolean;
      readonly heldBy: {
        readonly holders: {
          readonly how: "mount" | "descriptor" | "device-mapper" | "loop" | "other";
          readonly pid: number | null;
          readonly command: string | null;
          readonly startedAtMs: number | null;
          readonly mountPoint: string | null;
          readonly mountNamespace: number | null;
          readonly isOwnNamespace: boolean | null;
          readonly device: string | null;
        }[];
        readonly more: number;
        readonly isComplete: boolean;
      } | null;
    }[];
    readonly passedOver: { readonly id: string; readonly why: "gone" | "not repairable" }[];
  }>;
  /** Remove now what removals and interrupted unpacks have left behind. */
  readonly cleanup: (
    given: Record<string, never>,
    options?: ChangeOptions,
  ) => Promise<{ readonly removedDevices: number; readonly removedSnapshots: number }>;
  /** What the pool's two queues hold, and who holds the one of unpacks. */
  readonly queues: (
    given: Record<string, never>,
    options?: ReadOptions,
  ) => Promise<{
    readonly pool: {
      readonly waiting: number;
      readonly active: number;
      readonly delayed: number;
      readonly completed: number;
      readonly failed: number;
      readonly oldestWaitingMs: number;
      readonly workers: number;
      readonly isPaused: boolean;
      readonly hold: {
        readonly kind: "paused" | "drained";
        readonly heldBy: string;
        readonly reason: string;
        readonly sinceMs: number;
        readonly handOverAtMs: number | null;
      } | null;
    };
    readonly unpack: {
      readonly waiting: number;
      readonly active: number;
      readonly delayed: number;
      readonly completed: number;
      readonly failed: number;
      readonly oldestWaitingMs: number;
      readonly workers: number;
      readonly isPaused: boolean;
      readonly hold: {
        readonly kind: "paused" | "drained";
        readonly heldBy: string;
        readonly reason: string;
        readonly sinceMs: number;
        readonly handOverAtMs: number | null;
      } | null;
    };
  }>;
  /** Have unpacks kept and not executed; those that run go on to their end. */
  readonly holdQueue: (
    given: { readonly reason?: string | undefined },
    options?: ChangeOptions,
  ) => Promise<{
    readonly kind: "paused" | "drained";
    readonly heldBy: string;
    readonly reason: string;
    readonly sinceMs: number;
    readonly handOverAtMs: number | null;
  }>;
  /** Have unpacks executed again, after a pause or a drain. */
  readonly releaseQueue: (
    given: Record<string, never>,
    options?: ChangeOptions,
  ) => Promise<{
    readonly hold: {
      readonly kind: "paused" | "drained";
      readonly heldBy: string;
      readonly reason: string;
      readonly sinceMs: number;
      readonly handOverAtMs: number | null;
    } | null;
    readonly isPaused: boolean;
  }>;
  /** Hold unpacks for maintenance, and wait until none runs. */
  readonly drain: (
    given: { readonly reason?: string | undefined; readonly timeoutMs?: number | undefined },
    options?: ChangeOptions,
  ) => Promise<{
    readonly hold: {
      readonly kind: "paused" | "drained";
      readonly heldBy: string;
      readonly reason: string;
      readonly sinceMs: number;
      readonly handOverAtMs: number | null;
    };
    readonly running: number;
    readonly waiting: number;
  }>;
  /** Devices that are still to be deleted although their snapshots are removed, and why they are not. */
  readonly listRemovals: (
    given: {
      readonly states?: readonly ("pending" | "failed" | "discarded")[] | undefined;
      readonly matching?: string | undefined;
      readonly trouble?: string | undefined;
      readonly find?: string | undefined;
      readonly holder?: string | undefined;
    },
    options?: ReadOptions,
  ) => AsyncIterable<{
    readonly device: string;
    readonly operationId: string;
    readonly state: "pending" | "failed" | "discarded";
    readonly scope: string | null;
    readonly key: string | null;
    readonly createdAtMs: number;
    readonly attempts: number;
    readonly lastError: string | null;
    readonly trouble: string;
    readonly failingSinceMs: number | null;
    readonly lastFailedAtMs: number | null;
    readonly nextTryAtMs: number | null;
    readonly givenUpAtMs: number | null;
    readonly discardedAtMs: number | null;
    readonly discardReason: string | null;
    readonly bytes: number | null;
    readonly heldBy: {
      readonly holders: {
        readonly how: "mount" | "descriptor" | "device-mapper" | "loop" | "other";
        readonly pid: number | null;
        readonly command: string | null;
        readonly startedAtMs: number | null;
        readonly mountPoint: string | null;
        readonly mountNamespace: number | null;
        readonly isOwnNamespace: boolean | null;
        readonly device: string | null;
      }[];
      readonly more: number;
      readonly isComplete: boolean;
    } | null;
  }>;
  /** The same, grouped by what keeps the devices, and then by who holds them. */
  readonly removalGroups: (
    given: {
      readonly states?: readonly ("pending" | "failed" | "discarded")[] | undefined;
      readonly matching?: string | undefined;
      readonly trouble?: string | undefined;
      readonly find?: string | undefined;
      readonly holder?: string | undefined;
      readonly removals?: number | undefined;
    },
    options?: ReadOptions,
  ) => Promise<{
    readonly count: number;
    readonly bytes: number;
    readonly set: string;
    readonly states: { readonly pending: number; readonly failed: number; readonly discarded: number };
    readonly troubles: {
      readonly count: number;
      readonly bytes: number;
      readonly set: string;
      readonly trouble: string;
      readonly holders: {
        readonly count: number;
        readonly bytes: number;
        readonly set: string;
        readonly id: string;
        readonly holder: {
          readonly how: "mount" | "descriptor" | "device-mapper" | "loop" | "other";
          readonly pid: number | null;
          readonly command: string | null;
          readonly startedAtMs: number | null;
          readonly mountNamespace: number | null;
          readonly isOwnNamespace: boolean | null;
          readonly device: string | null;
        } | null;
        readonly removals: {
          readonly device: string;
          readonly operationId: string;
          readonly state: "pending" | "failed" | "discarded";
          readonly scope: string | null;
          readonly key: string | null;
          readonly createdAtMs: number;
          readonly attempts: number;
          readonly lastError: string | null;
          readonly trouble: string;
          readonly failingSinceMs: number | null;
          readonly lastFailedAtMs: number | null;
          readonly nextTryAtMs: number | null;
          readonly givenUpAtMs: number | null;
          readonly discardedAtMs: number | null;
          readonly discardReason: string | null;
          readonly bytes: number | null;
          readonly heldBy: {
            readonly holders: {
              readonly how: "mount" | "descriptor" | "device-mapper" | "loop" | "other";
              readonly pid: number | null;
              readonly command: string | null;
              readonly startedAtMs: number | null;
              readonly mountPoint: string | null;
              readonly mountNamespace: number | null;
              readonly isOwnNamespace: boolean | null;
              readonly device: string | null;
            }[];
            readonly more: number;
            readonly isComplete: boolean;
          } | null;
        }[];
      }[];
      readonly moreHolders: number;
    }[];
    readonly moreTroubles: number;
  }>;
  /** Try removals at once, also those that were given up or discarded. */
  readonly retryRemovals: (
    given: {
      readonly states?: readonly ("pending" | "failed" | "discarded")[] | undefined;
      readonly matching?: string | undefined;
      readonly trouble?: string | undefined;
      readonly find?: string | undefined;
      readonly holder?: string | undefined;
      readonly names?: readonly string[] | undefined;
      readonly all?: boolean | undefined;
      readonly ifSet?: string | undefined;
      readonly isDryRun?: boolean | undefined;
    },
    options?: ChangeOptions,
  ) => Promise<{ readonly devices: readonly string[]; readonly set?: string | undefined }>;
  /** Give removals up for good: their devices stay in the pool until they are retried. */
  readonly discardRemovals: (
    given: {
      readonly states?: readonly ("pending" | "failed" | "discarded")[] | undefined;
      readonly matching?: string | undefined;
      readonly trouble?: string | undefined;
      readonly find?: string | undefined;
      readonly holder?: string | undefined;
      readonly names?: readonly string[] | undefined;
      readonly all?: boolean | undefined;
      readonly ifSet?: string | undefined;
      readonly reason: string;
      readonly isDryRun?: boolean | undefined;
    },
    options?: ChangeOptions,
  ) => Promise<{ readonly devices: readonly string[]; readonly set?: string | undefined }>;
}

/** The operations that are no single pool's. */
export interface HostClient {
  /** The pools that are served here. */
  readonly listPools: (given: Record<string, never>, options?: ReadOptions) => AsyncIterable<{ readonly name: string }>;
  /** The worst thing that is wrong with any pool that is served here, and the verdict on each. */
  readonly verdict: (
    given: Record<string, never>,
    options?: ReadOptions,
  ) => Promise<{
    readonly severity: "ok" | "notice" | "warning" | "critical";
    readonly code: string;
    readonly pool: string;
    readonly sentence: string;
    readonly since: number | null;
    readonly next: string;
    readonly wayOut: string;
    readonly remedy: {
      readonly label: string;
      readonly operation: string;
      readonly input: Record<string, unknown>;
      readonly command: string;
    } | null;
    readonly pools: {
      readonly severity: "ok" | "notice" | "warning" | "critical";
      readonly code: string;
      readonly pool: string;
      readonly sentence: string;
      readonly since: number | null;
      readonly next: string;
      readonly wayOut: string;
      readonly remedy: {
        readonly label: string;
        readonly operation: string;
        readonly input: Record<string, unknown>;
        readonly command: string;
      } | null;
      readonly findings: {
        readonly severity: "ok" | "notice" | "warning" | "critical";
        readonly code: string;
        readonly pool: string;
        readonly sentence: string;
        readonly since: number | null;
        readonly next: string;
        readonly wayOut: string;
        readonly remedy: {
          readonly label: string;
          readonly operation: string;
          readonly input: Record<string, unknown>;
          readonly command: string;
        } | null;
      }[];
    }[];
  }>;
  /** How an operation stands, with its result once it is done. */
  readonly getOperation: (
    given: { readonly operationId: string },
    options?: ReadOptions,
  ) => Promise<{
    readonly operationId: string;
    readonly operation: string;
    readonly pool: string | null;
    readonly state: "running" | "done" | "failed";
    readonly startedAtMs: number;
    readonly endedAtMs: number | null;
    readonly progress?: unknown | undefined;
    readonly result?: unknown | undefined;
    readonly failure?:
      | {
          readonly code:
            | "invalid_argument"
            | "not_found"
            | "already_exists"
            | "failed_precondition"
            | "resource_exhausted"
            | "unavailable"
            | "aborted"
            | "deadline_exceeded"
            | "internal";
          readonly message: string;
        }
      | undefined;
  }>;
  /** All that is known of an operation: its way to the device, attempts and their errors, payload, log and trace. */
  readonly explainOperation: (
    given: { readonly operationId: string },
    options?: ReadOptions,
  ) => Promise<{
    readonly operationId: string;
    readonly operation: string;
    readonly pool: string | null;
    readonly state: "running" | "done" | "failed";
    readonly startedAtMs: number;
    readonly endedAtMs: number | null;
    readonly progress?: unknown | undefined;
    readonly result?: unknown | undefined;
    readonly failure?:
      | {
          readonly code:
            | "invalid_argument"
            | "not_found"
            | "already_exists"
            | "failed_precondition"
            | "resource_exhausted"
            | "unavailable"
            | "aborted"
            | "deadline_exceeded"
            | "internal";
          readonly message: string;
        }
      | undefined;
    readonly steps: {
      readonly atMs: number;
      readonly place: "up" | "records" | "queue" | "worker" | "device";
      readonly what: string;
      readonly isFailure: boolean;
    }[];
    readonly failures: {
      readonly number: number | null;
      readonly atMs: number | null;
      readonly message: string;
      readonly stack: string | null;
    }[];
    readonly attempts: { readonly made: number; readonly most: number } | null;
    readonly payload: unknown;
    readonly log: { readonly lines: string[]; readonly count: number };
    readonly traceId: string | null;
    readonly removal: {
      readonly device: string;
      readonly operationId: string;
      readonly state: "pending" | "failed" | "discarded";
      readonly scope: string | null;
      readonly key: string | null;
      readonly createdAtMs: number;
      readonly attempts: number;
      readonly lastError: string | null;
      readonly trouble: string;
      readonly failingSinceMs: number | null;
      readonly lastFailedAtMs: number | null;
      readonly nextTryAtMs: number | null;
      readonly givenUpAtMs: number | null;
      readonly discardedAtMs: number | null;
      readonly discardReason: string | null;
      readonly bytes: number | null;
      readonly heldBy: {
        readonly holders: {
          readonly how: "mount" | "descriptor" | "device-mapper" | "loop" | "other";
          readonly pid: number | null;
          readonly command: string | null;
          readonly startedAtMs: number | null;
          readonly mountPoint: string | null;
          readonly mountNamespace: number | null;
          readonly isOwnNamespace: boolean | null;
          readonly device: string | null;
        }[];
        readonly more: number;
        readonly isComplete: boolean;
      } | null;
    } | null;
    readonly canBeCancelled: boolean;
    readonly queueTrouble: string | null;
  }>;
  /** Cancel an operation: an unpack ends as soon as it can, another change if it has not begun. */
  readonly cancelOperation: (
    given: { readonly operationId: string },
    options?: ChangeOptions,
  ) => Promise<{
    readonly operationId: string;
    readonly operation: string;
    readonly pool: string | null;
    readonly state: "running" | "done" | "failed";
    readonly startedAtMs: number;
    readonly endedAtMs: number | null;
    readonly progress?: unknown | undefined;
    readonly result?: unknown | undefined;
    readonly failure?:
      | {
          readonly code:
            | "invalid_argument"
            | "not_found"
            | "already_exists"
            | "failed_precondition"
            | "resource_exhausted"
            | "unavailable"
            | "aborted"
            | "deadline_exceeded"
            | "internal";
          readonly message: string;
        }
      | undefined;
  }>;
  /** The changes that were asked for over HTTP, the newest first: by whom, why, and what came of them. */
  readonly listAudit: (
    given: {
      readonly token?: string | undefined;
      readonly operation?: string | undefined;
      readonly pool?: string | undefined;
      readonly code?: string | undefined;
      readonly operationId?: string | undefined;
      readonly sinceMs?: number | undefined;
      readonly untilMs?: number | undefined;
    },
    options?: ReadOptions,
  ) => AsyncIterable<{
    readonly number: number;
    readonly atMs: number;
    readonly requestId: string;
    readonly token: string;
    readonly role: "read" | "operate";
    readonly method: string;
    readonly path: string;
    readonly operation: string | null;
    readonly pool: string | null;
    readonly reason: string | null;
    readonly request: unknown;
    readonly operationId: string | null;
    readonly code: string;
    readonly status: number | null;
    readonly endedAtMs: number | null;
  }>;
}

export interface Client extends HostClient {
  readonly pool: (name: string) => PoolClient;
}

/**
 * Nothing is sent before the first call. What a call throws is an `ApiError`, or its signal's reason.
 * Throws invalid_argument for a host that is none, or that a token cannot be sent to safely.
 */
export declare function connect(options: ClientOptions): Client;
