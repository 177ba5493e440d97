// Room: test. Owns made facts of a verdict: a pool in service, of which tests change what they are about.
import { healthParts } from "../../src/domain/health.ts";
import type { AreaFacts, FailingRemovals, VerdictFacts, Watch } from "../../src/domain/verdict-facts.ts";

export const nowMs = 1_800_000_000_000;

export const quiet: Watch = {
  atMs: nowMs,
  isStarted: true,
  parts: Object.fromEntries(healthParts.map((part) => [part, []])) as unknown as Watch["parts"],
  children: [
    { kind: "redis", state: "ready" },
    { kind: "pool", state: "ready" },
    { kind: "unpack", state: "ready" },
    { kind: "unpack", state: "ready" },
    { kind: "grpc", state: "ready" },
  ],
  troubles: { redis: [], pool: [], unpack: [], grpc: [] },
  restarts: [],
  driver: "devmapper",
  isAttached: true,
  poolState: "rw",
  oldestWaitingMs: { pool: 0, unpack: 0 },
  doctor: null,
  recordsTrouble: null,
  disk: { freeBytes: 2 ** 40, totalBytes: 2 ** 41, hasReserve: true },
};

export const anArea = (given: Partial<AreaFacts> = {}): AreaFacts => ({
  usedBytes: 5 * 2 ** 30,
  totalBytes: 20 * 2 ** 30,
  trend: null,
  fullSinceMs: null,
  ...given,
});

const noRemovals: FailingRemovals = { count: 0, error: null, sinceMs: null, holder: null, bytes: 0 };

export const someRemovals: FailingRemovals = {
  count: 3,
  error: "device pool-snap-7 is in use",
  sinceMs: nowMs - 60_000,
  holder: "mounted at /mnt",
  bytes: 2 ** 30,
};

export const inService: VerdictFacts = {
  nowMs,
  pool: "default",
  hasPool: true,
  watch: quiet,
  upSilence: undefined,
  data: anArea(),
  metadata: anArea({ usedBytes: 2 ** 20, totalBytes: 64 * 2 ** 20 }),
  unpacksIdleSinceMs: null,
  hold: undefined,
  setAside: { count: 0, jobs: [], sinceMs: null },
  failedRemovals: noRemovals,
  failingRemovals: noRemovals,
  failedBatches: [],
};

export const watching = (given: Partial<Watch>): Partial<VerdictFacts> => ({ watch: { ...quiet, ...given } });
export const saying = (given: Partial<Watch["parts"]>): Partial<VerdictFacts> =>
  watching({ parts: { ...quiet.parts, ...given } });
export const troubled = (given: Partial<Watch["troubles"]>): Partial<VerdictFacts> =>
  watching({ troubles: { ...quiet.troubles, ...given } });
/** With one of its children in another state. */
export const without = (kind: Watch["children"][number]["kind"], count = 1): Partial<VerdictFacts> => {
  let left = count;
  const children = quiet.children.map((child) =>
    child.kind === kind && left-- > 0 ? ({ ...child, state: "waiting" } as const) : child,
  );
  return watching({ children });
};
