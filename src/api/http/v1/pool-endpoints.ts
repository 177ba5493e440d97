// Room: api. Owns where the operations on a pool as a whole are found over HTTP: a part of endpoints.ts.

const pool = "/v1/pools/{pool}";

export const poolEndpoints = {
  status: {
    method: "GET",
    path: `${pool}/status`,
    role: "read",
    kind: "read",
    tag: "pools",
    summary: "What runs, what is queued, and how full the pool is",
  },
  history: {
    method: "GET",
    path: `${pool}/history`,
    role: "read",
    kind: "read",
    tag: "pools",
    summary: "The last hour, day or quarter: fill, queues, throughput, failures; what was done; when the pool is full",
  },
  listHosts: {
    method: "GET",
    path: `${pool}/hosts`,
    role: "read",
    kind: "read",
    tag: "pools",
    summary: "The pools that are claimed in this pool's Redis, and the host of each",
  },
  poolStatus: {
    method: "GET",
    path: `${pool}/thin-pool`,
    role: "read",
    kind: "read",
    tag: "pools",
    summary: "The thin-pool: its mode, how full it is, its owner, and what is wrong with it",
  },
  poolContents: {
    method: "GET",
    path: `${pool}/contents`,
    role: "read",
    kind: "read",
    tag: "pools",
    summary: "How much a reset of the pool would remove",
  },
  growPool: {
    method: "POST",
    path: `${pool}/grow`,
    role: "operate",
    kind: "long",
    tag: "pools",
    summary: "Grow a thin-pool: one in files to these sizes, one on devices to theirs",
  },
  resetPool: {
    method: "POST",
    path: `${pool}/reset`,
    role: "operate",
    kind: "long",
    tag: "pools",
    summary: "Remove every snapshot, image and device of the pool",
  },
  doctor: {
    method: "POST",
    path: `${pool}/doctor`,
    role: "operate",
    kind: "long",
    tag: "pools",
    summary: "Report what is not in order in the pool; with `repair`, repair what is safe to repair",
  },
  cleanup: {
    method: "POST",
    path: `${pool}/cleanup`,
    role: "operate",
    kind: "long",
    tag: "pools",
    summary: "Remove now what removals and interrupted unpacks have left behind",
  },
} as const;
