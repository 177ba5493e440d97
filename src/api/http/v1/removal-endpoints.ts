// Room: api. Owns where the operations on removals of devices are found over HTTP: a part of endpoints.ts.

const removals = "/v1/pools/{pool}/removals";

export const removalEndpoints = {
  listRemovals: {
    method: "GET",
    path: removals,
    role: "read",
    kind: "list",
    tag: "removals",
    summary: "Devices that are still to be deleted although their snapshots are removed, and why they are not",
  },
  removalGroups: {
    method: "GET",
    path: `${removals}/groups`,
    role: "read",
    kind: "read",
    tag: "removals",
    summary: "The same, grouped by what keeps the devices, and then by who holds them",
  },
  retryRemovals: {
    method: "POST",
    path: `${removals}/retry`,
    role: "operate",
    kind: "change",
    tag: "removals",
    summary: "Try removals at once, also those that were given up or discarded",
  },
  discardRemovals: {
    method: "POST",
    path: `${removals}/discard`,
    role: "operate",
    kind: "change",
    tag: "removals",
    summary: "Give removals up for good: their devices stay in the pool until they are retried",
  },
} as const;
