// Room: api. Owns where the operations on batches are found over HTTP: a part of endpoints.ts.

const batches = "/v1/pools/{pool}/batches";
const one = `${batches}/{batch}` as const;

export const batchEndpoints = {
  listBatches: {
    method: "GET",
    path: batches,
    role: "read",
    kind: "read",
    tag: "batches",
    summary: "The batches, the latest first, with their progress",
  },
  batch: {
    method: "GET",
    path: one,
    role: "read",
    kind: "read",
    tag: "batches",
    summary: "One batch and its progress",
  },
  submitBatch: {
    method: "PUT",
    path: one,
    role: "operate",
    kind: "change",
    tag: "batches",
    summary: "Submit a batch of images; the same one again changes nothing",
  },
  removeBatch: {
    method: "DELETE",
    path: one,
    role: "operate",
    kind: "change",
    tag: "batches",
    summary: "Delete the record of a batch that has ended; its images stay",
  },
  listBatchItems: {
    method: "GET",
    path: `${one}/items`,
    role: "read",
    kind: "list",
    tag: "batches",
    summary: "The images of a batch, in the order of their submission",
  },
  cancelBatch: {
    method: "POST",
    path: `${one}/cancel`,
    role: "operate",
    kind: "change",
    tag: "batches",
    summary: "Cancel what of a batch has not ended",
  },
  retryBatch: {
    method: "POST",
    path: `${one}/retry`,
    role: "operate",
    kind: "change",
    tag: "batches",
    summary: "Retry what of a batch has failed or was cancelled",
  },
} as const;
