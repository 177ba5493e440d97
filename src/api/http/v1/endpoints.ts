// Room: api. Owns where each operation is found over HTTP: pure data, from which server, document and client are derived.
//
// One entry for each operation of service/api.ts, in the same groups; the compiler compares the two. What the caller gives:
// fields named in the path come from there (percent-encoded: a snapshot's key may contain `/`), those of GET and DELETE and
// those listed in `query` from the query (an array is a parameter that is repeated), all others from the JSON body.
// Nothing here, and in the parts, imports code: the client loads them.
import type { ListName, OperationName } from "../../../service/api.ts";
import { batchEndpoints } from "./batch-endpoints.ts";
import { imageEndpoints } from "./image-endpoints.ts";
import { poolEndpoints } from "./pool-endpoints.ts";
import { queueEndpoints } from "./queue-endpoints.ts";
import { removalEndpoints } from "./removal-endpoints.ts";

export interface Endpoint {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** `/v1/pools/{pool}/…` where the operation acts on a pool. */
  readonly path: `/v1/${string}`;
  /** `operate` may do what `read` may, too. */
  readonly role: "read" | "operate";
  /**
   * `read` and `list`: answered from what is there, with an ETag; a list in pages of `limit` with a `next` link.
   * `change`: takes an Idempotency-Key, and is answered when it is done. `long`: the same, but answered with 202 and the
   * operation's place unless it is done within `Prefer: wait=N`.
   * Both take `Prefer: wait=N` (seconds, at most 60) and `respond-async`; what is not done by then is answered with 202.
   */
  readonly kind: "read" | "list" | "change" | "long";
  readonly tag: string;
  readonly summary: string;
  /** Fields that are in the query although the method has a body. */
  readonly query?: readonly string[];
}

type Kinds = { readonly [Name in OperationName]: Endpoint & { readonly kind: KindOf<Name> } };
type KindOf<Name> = Name extends ListName ? "list" : "read" | "change" | "long";

const snapshots = "/v1/pools/{pool}/snapshots";
const snapshot = `${snapshots}/{key}` as const;

export const endpoints = {
  // Snapshots.
  listSnapshots: {
    method: "GET",
    path: snapshots,
    role: "read",
    kind: "list",
    tag: "snapshots",
    summary: "List snapshots, sorted by key; of several filters (containerd's syntax), one must match",
  },
  stat: {
    method: "GET",
    path: snapshot,
    role: "read",
    kind: "read",
    tag: "snapshots",
    summary: "One snapshot",
  },
  usage: {
    method: "GET",
    path: `${snapshot}/usage`,
    role: "read",
    kind: "read",
    tag: "snapshots",
    summary: "What a snapshot uses beyond its parent",
  },
  mounts: {
    method: "GET",
    path: `${snapshot}/mounts`,
    role: "read",
    kind: "read",
    tag: "snapshots",
    summary: "How an active snapshot or a view is mounted on the pool's host",
  },
  mountPoints: {
    method: "GET",
    path: `${snapshot}/mount-points`,
    role: "read",
    kind: "read",
    tag: "snapshots",
    summary: "The directories of the pool's host on which an active snapshot or a view is mounted",
  },
  prepare: {
    method: "POST",
    path: `${snapshot}/prepare`,
    role: "operate",
    kind: "change",
    tag: "snapshots",
    summary: "Create an active snapshot, which is writable",
    query: ["scope"],
  },
  view: {
    method: "POST",
    path: `${snapshot}/view`,
    role: "operate",
    kind: "change",
    tag: "snapshots",
    summary: "Create a view, which is read-only",
    query: ["scope"],
  },
  commit: {
    method: "POST",
    path: `${snapshot}/commit`,
    role: "operate",
    kind: "change",
    tag: "snapshots",
    summary: "Turn an active snapshot into a committed one of the given name; its key is free again",
    query: ["scope"],
  },
  checkpoint: {
    method: "POST",
    path: `${snapshot}/checkpoint`,
    role: "operate",
    kind: "change",
    tag: "snapshots",
    summary: "Commit what an active snapshot holds now under the given name; it stays active, as a child of that",
    query: ["scope"],
  },
  label: {
    method: "PATCH",
    path: `${snapshot}/labels`,
    role: "operate",
    kind: "change",
    tag: "snapshots",
    summary: "Set these labels and leave the others; an empty value removes a label",
    query: ["scope"],
  },
  remove: {
    method: "DELETE",
    path: snapshot,
    role: "operate",
    kind: "change",
    tag: "snapshots",
    summary: "Remove a snapshot",
  },
  removeCompletely: {
    method: "POST",
    path: `${snapshot}/remove-completely`,
    role: "operate",
    kind: "long",
    tag: "snapshots",
    summary: "Remove a snapshot, and wait until its device is gone and the space is free",
    query: ["scope"],
  },
  ...imageEndpoints,
  ...batchEndpoints,
  ...poolEndpoints,
  ...queueEndpoints,
  ...removalEndpoints,
  // The host.
  listPools: {
    method: "GET",
    path: "/v1/pools",
    role: "read",
    kind: "list",
    tag: "host",
    summary: "The pools that are served here",
  },
  verdict: {
    method: "GET",
    path: "/v1/verdict",
    role: "read",
    kind: "read",
    tag: "host",
    summary: "The worst thing that is wrong with any pool that is served here, and the verdict on each",
  },
  getOperation: {
    method: "GET",
    path: "/v1/operations/{operationId}",
    role: "read",
    kind: "read",
    tag: "operations",
    summary: "How an operation stands, with its result once it is done",
  },
  explainOperation: {
    method: "GET",
    path: "/v1/operations/{operationId}/account",
    role: "read",
    kind: "read",
    tag: "operations",
    summary:
      "All that is known of an operation: its way to the device, attempts and their errors, payload, log and trace",
  },
  cancelOperation: {
    method: "DELETE",
    path: "/v1/operations/{operationId}",
    role: "operate",
    kind: "change",
    tag: "operations",
    summary: "Cancel an operation: an unpack ends as soon as it can, another change if it has not begun",
  },
  listAudit: {
    method: "GET",
    path: "/v1/audit",
    role: "operate",
    kind: "list",
    tag: "host",
    summary: "The changes that were asked for over HTTP, the newest first: by whom, why, and what came of them",
  },
} as const satisfies Kinds;

export type Endpoints = typeof endpoints;

/** Where the place of an operation is, and its server-sent events. */
export const operationPath = (operationId: string): string => `/v1/operations/${operationId}`;
export const eventsPath = "/v1/operations/{operationId}/events";

/** The names in a path's braces, in order. */
export const fieldsOfPath = (path: string): string[] =>
  [...path.matchAll(/\{(\w+)\}/g)].map(([, field]) => field ?? "");

/** Where a field of an operation stands in its request. */
export function placeOfField({ method, path, query = [] }: Endpoint, field: string): "path" | "query" | "body" {
  if (fieldsOfPath(path).includes(field)) return "path";
  return method === "GET" || method === "DELETE" || query.includes(field) ? "query" : "body";
}

const inPath = "/snapshots/{key}";

/**
 * The same endpoint with the key in the query: `/v1/pools/{pool}/snapshot/prepare?key=..`. Undefined: it has no key.
 * Any URL loses the segments `.` and `..`, however they are encoded, before a server sees it.
 */
export const pathByQuery = ({ path }: Endpoint): string | undefined =>
  path.includes(inPath) ? path.replace(inPath, "/snapshot") : undefined;

/**
 * Whether a path can name `key` without doubt. GET …/snapshots/usage may have been asked as …/snapshots/./usage, so no
 * key that is also the name of a part of a snapshot is taken from such a path.
 */
export function isKeyForPath({ method, path }: Endpoint, key: string): boolean {
  if (key === "." || key === "..") return false;
  const known: readonly Endpoint[] = Object.values(endpoints);
  return !known.some((other) => other.method === method && other.path === `${path}/${key}`);
}

/** Page sizes of lists. */
export const pageLimits = { default: 100, most: 500 } as const;
