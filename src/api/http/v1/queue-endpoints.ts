// Room: api. Owns where the operations on a pool's queues are found over HTTP: a part of endpoints.ts.

const pool = "/v1/pools/{pool}";

export const queueEndpoints = {
  queues: {
    method: "GET",
    path: `${pool}/queues`,
    role: "read",
    kind: "read",
    tag: "queues",
    summary: "What the pool's two queues hold, and who holds the one of unpacks",
  },
  holdQueue: {
    method: "POST",
    path: `${pool}/queues/unpack/pause`,
    role: "operate",
    kind: "change",
    tag: "queues",
    summary: "Have unpacks kept and not executed; those that run go on to their end",
  },
  drain: {
    method: "POST",
    path: `${pool}/drain`,
    role: "operate",
    kind: "long",
    tag: "queues",
    summary: "Hold unpacks for maintenance, and wait until none runs",
  },
  releaseQueue: {
    method: "POST",
    path: `${pool}/resume`,
    role: "operate",
    kind: "change",
    tag: "queues",
    summary: "Have unpacks executed again, after a pause or a drain",
  },
} as const;
