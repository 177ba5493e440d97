// Room: test. Owns made points of a history.
import type { HistoryPoint } from "../../src/domain/history.ts";

/** One sample; what is not given is 0, or unknown. */
export const aPoint = (given: Partial<HistoryPoint> & { readonly atMs: number }): HistoryPoint => ({
  samples: 1,
  spaceSamples: given.dataUsedBytes === undefined || given.dataUsedBytes === null ? 0 : 1,
  readySamples: 1,
  elapsedMs: 10_000,
  dataUsedBytes: null,
  dataTotalBytes: null,
  metadataUsedBytes: null,
  metadataTotalBytes: null,
  snapshots: null,
  devices: null,
  pendingRemovals: null,
  failedRemovals: null,
  waitingJobs: null,
  oldestWaitingMs: null,
  runningUnpacks: null,
  unpackedBytes: 0,
  unpackedLayers: 0,
  restarts: 0,
  failures: {},
  ...given,
});
