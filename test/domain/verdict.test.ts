// Owns the proof of the verdict's table: each row with facts that it finds something in, and with facts that it does not.
import { describe, expect, test } from "bun:test";
import { heldReason } from "../../src/domain/queues.ts";
import { allWell, troublesIn, type VerdictCode, verdictCodes, worstOf } from "../../src/domain/verdict.ts";
import type { FailedBatch, VerdictFacts } from "../../src/domain/verdict-facts.ts";
import { roughly, type Severity } from "../../src/domain/verdict-trouble.ts";
import {
  anArea,
  inService,
  nowMs,
  quiet,
  saying,
  someRemovals,
  troubled,
  watching,
  without,
} from "../support/verdict-facts.ts";

const minute = 60_000;
const hour = 60 * minute;
const gibibyte = 2 ** 30;
const fullIn = (ms: number) => ({ fullAtMs: nowMs + ms, bytesPerSecond: 2 ** 20, fit: 0.9 });
const aHold = {
  kind: "drained",
  heldBy: "root on host1",
  reason: "new kernel",
  sinceMs: nowMs - minute,
  handOverAtMs: null,
} as const;
const aBatch: FailedBatch = { batch: "b-1", name: "nightly", failed: 2, items: 9, isOver: false, sinceMs: nowMs - 5 };

interface Case {
  readonly fires: readonly (readonly [Partial<VerdictFacts>, Severity, RegExp])[];
  readonly not: readonly Partial<VerdictFacts>[];
}

const cases: Readonly<Record<VerdictCode, Case>> = {
  "redis-away": {
    fires: [[saying({ redis: ["Redis does not answer"] }), "critical", /queue is away: Redis does not answer/]],
    not: [watching({ isStarted: false, parts: { ...quiet.parts, redis: ["Redis does not answer"] } })],
  },
  "database-unreadable": {
    fires: [[saying({ database: ["metadata.db is damaged"] }), "critical", /metadata.db is damaged/]],
    not: [saying({ pool: ["metadata.db is damaged"] })],
  },
  "database-full": {
    fires: [
      [
        troubled({ pool: ["the pool worker cannot write to its database /x: disk full"] }),
        "critical",
        /cannot write to its database/,
      ],
    ],
    not: [troubled({ pool: ["the pool worker has not answered for 12 s"] })],
  },
  "disk-full": {
    fires: [[saying({ disk: ["1 MiB free at /state"] }), "critical", /1 MiB free/]],
    not: [saying({ disk: [] })],
  },
  "worker-down": {
    fires: [[without("pool"), "critical", /worker of pool default does not run/]],
    not: [without("unpack"), troubled({ pool: ["hangs"] })],
  },
  "worker-hangs": {
    fires: [[troubled({ pool: ["the pool worker has not answered for 12 s"] }), "critical", /12 s/]],
    not: [troubled({ pool: ["the pool worker cannot write to its database /x: disk full"] })],
  },
  "queue-paused": {
    fires: [[saying({ queue: ["the pool's queue is paused"] }), "critical", /queue is paused/]],
    not: [
      { ...saying({ queue: [heldReason(aHold, "default")] }), hold: aHold },
      // Readiness is a second old: the hold has just ended.
      saying({ queue: [heldReason(aHold, "default")] }),
    ],
  },
  "unpack-workers-down": {
    fires: [
      [without("unpack", 2), "critical", /no unpack worker runs/],
      [without("unpack", 1), "warning", /1 of 2 unpack workers do not run/],
    ],
    not: [without("grpc")],
  },
  "unpack-workers-hang": {
    fires: [[troubled({ unpack: ["worker 1 hangs", "worker 2 hangs"] }), "warning", /worker 1 hangs, and so 1 other/]],
    not: [troubled({ pool: ["worker 1 hangs"] })],
  },
  "grpc-down": {
    fires: [
      [without("grpc"), "critical", /containerd cannot reach/],
      [troubled({ grpc: ["the gRPC server has not answered for 20 s"] }), "critical", /20 s/],
    ],
    not: [watching({ children: [{ kind: "pool", state: "ready" }] })],
  },
  "not-ready": {
    fires: [
      [watching({ isStarted: false, parts: { ...quiet.parts, up: ["snapmill is starting"] } }), "warning", /starting/],
    ],
    not: [saying({ up: [] })],
  },
  "records-unwritable": {
    fires: [[watching({ recordsTrouble: "/state/service.db is damaged" }), "critical", /service.db is damaged/]],
    not: [watching({ recordsTrouble: null }), watching({ isStarted: false, recordsTrouble: "it is damaged" })],
  },
  "disk-reserve-gone": {
    fires: [
      [
        watching({ disk: { freeBytes: 2 ** 24, totalBytes: 2 ** 40, hasReserve: false } }),
        "warning",
        /16.0 MiB is free/,
      ],
    ],
    not: [
      watching({ disk: { freeBytes: 2 ** 24, totalBytes: 2 ** 40, hasReserve: true } }),
      watching({ disk: { freeBytes: 2 ** 39, totalBytes: 2 ** 40, hasReserve: false } }),
    ],
  },
  "workers-restarting": {
    fires: [
      [watching({ restarts: [{ component: "pool", atMs: nowMs - 2 * minute }] }), "notice", /pool, 1 time in 2 min/],
      [
        watching({ restarts: [1, 2, 3].map((at) => ({ component: "unpack-1", atMs: nowMs - (5 - at) * minute })) }),
        "warning",
        /unpack-1, 3 times in 4 min/,
      ],
    ],
    not: [watching({ restarts: [] })],
  },
  "up-silent": {
    fires: [[{ watch: undefined, upSilence: "process 7 does not answer" }, "warning", /process 7/]],
    not: [{ watch: undefined }],
  },
  "not-running": {
    fires: [[{ watch: undefined }, "notice", /no 'snapmill up'/]],
    not: [watching({}), { watch: undefined, upSilence: "process 7 does not answer" }],
  },
  "pool-lost": {
    fires: [[watching({ isAttached: false }), "critical", /is lost/]],
    not: [watching({ isAttached: null }), { ...watching({ isAttached: false }), hasPool: false }],
  },
  "pool-failed": {
    fires: [[watching({ poolState: "failed" }), "critical", /has failed/]],
    not: [watching({ poolState: null })],
  },
  "pool-needs-check": {
    fires: [[watching({ poolState: "needs_check" }), "critical", /needs a check/]],
    not: [watching({ poolState: "ro" })],
  },
  "pool-read-only": {
    fires: [[watching({ poolState: "ro" }), "critical", /read-only/]],
    not: [watching({ poolState: "needs_check" })],
  },
  "pool-full": {
    fires: [
      [
        { data: anArea({ usedBytes: 20 * gibibyte, fullSinceMs: nowMs - hour }) },
        "critical",
        /full: 100 % of 20.0 GiB/,
      ],
      [watching({ poolState: "out_of_data_space" }), "critical", /is full/],
    ],
    not: [{ data: anArea({ usedBytes: 19 * gibibyte }) }, { data: undefined }],
  },
  "metadata-full": {
    fires: [[{ metadata: anArea({ usedBytes: 20 * gibibyte }) }, "critical", /metadata of pool default is full/]],
    not: [{ metadata: undefined }, { data: anArea({ usedBytes: 20 * gibibyte }) }],
  },
  "pool-filling": {
    fires: [
      [{ data: anArea({ trend: fullIn(40 * minute) }) }, "critical", /full in 40 min: 25 % of 20.0 GiB/],
      [{ data: anArea({ trend: fullIn(3 * hour) }) }, "warning", /full in 3 h/],
      [{ data: anArea({ trend: fullIn(20 * hour) }) }, "notice", /full in 20 h/],
      [{ data: anArea({ usedBytes: 19 * gibibyte }) }, "warning", /nearly full: 95 %/],
    ],
    not: [
      { data: anArea({ trend: fullIn(30 * hour) }) },
      { data: anArea({ usedBytes: 20 * gibibyte, trend: fullIn(0) }) },
      { ...watching({ poolState: "out_of_data_space" }), data: anArea({ usedBytes: 19 * gibibyte }) },
    ],
  },
  "metadata-filling": {
    fires: [[{ metadata: anArea({ trend: fullIn(2 * hour) }) }, "warning", /metadata of pool default is full in 2 h/]],
    not: [{ data: anArea({ trend: fullIn(2 * hour) }) }],
  },
  "operations-set-aside": {
    fires: [
      [
        { setAside: { count: 2, jobs: ["prepare", "prepare"], sinceMs: nowMs - hour } },
        "warning",
        /2 operations set aside, since workers died executing them: prepare$/,
      ],
    ],
    not: [{ setAside: { count: 0, jobs: [], sinceMs: null } }],
  },
  "removals-failed": {
    fires: [
      [{ failedRemovals: someRemovals }, "warning", /3 removals given up, 1.0 GiB to free: the device is mounted at/],
      [{ failedRemovals: { ...someRemovals, holder: null } }, "warning", /: device pool-snap-7 is in use/],
    ],
    not: [{ failingRemovals: someRemovals }],
  },
  "removals-failing": {
    fires: [[{ failingRemovals: { ...someRemovals, count: 1 } }, "notice", /1 removal tried in vain/]],
    not: [{ failedRemovals: someRemovals }],
  },
  "unpacks-idle": {
    fires: [[{ unpacksIdleSinceMs: nowMs - 30 * minute }, "warning", /none has ended a layer for 30 min/]],
    not: [{ unpacksIdleSinceMs: nowMs - 5 * minute }, { unpacksIdleSinceMs: null }],
  },
  "waits-too-long": {
    fires: [
      [
        watching({ oldestWaitingMs: { pool: 90_000, unpack: 0 } }),
        "warning",
        /a change has waited in the queue for 2 min/,
      ],
      [watching({ oldestWaitingMs: { pool: 0, unpack: hour } }), "warning", /an unpack has waited/],
    ],
    not: [
      watching({ oldestWaitingMs: { pool: 30_000, unpack: 30_000 } }),
      { ...watching({ oldestWaitingMs: { pool: 0, unpack: hour } }), hold: aHold },
      watching({ oldestWaitingMs: null }),
    ],
  },
  "batch-failures": {
    fires: [
      [{ failedBatches: [aBatch] }, "warning", /2 of 9 images of batch nightly have failed$/],
      [{ failedBatches: [{ ...aBatch, name: null }, aBatch, aBatch] }, "warning", /batch b-1 .*, and 2 other batches$/],
    ],
    not: [{ failedBatches: [] }],
  },
  "doctor-findings": {
    fires: [[watching({ doctor: { atMs: nowMs - hour, findings: 1 } }), "warning", /1 fault that is not repaired/]],
    not: [watching({ doctor: { atMs: nowMs - hour, findings: 0 } }), watching({ doctor: null })],
  },
  "queue-held": {
    fires: [
      [{ hold: aHold }, "notice", /drained by root on host1 \(new kernel\)/],
      [{ hold: { ...aHold, sinceMs: nowMs - 5 * hour } }, "warning", /drained/],
    ],
    not: [{ hold: undefined }],
  },
};

const codesIn = (given: Partial<VerdictFacts>): string[] =>
  troublesIn({ ...inService, ...given }).map(({ code }) => code);

test("of a pool in service nothing is wrong, and that is said", () => {
  expect(troublesIn(inService)).toEqual([]);
  expect(allWell(inService)).toMatchObject({ severity: "ok", sentence: expect.stringContaining("25 % full") });
});

describe.each(verdictCodes)("%s", (code) => {
  const { fires, not } = cases[code];
  test.each(fires.map((each) => [String(each[2]), each] as const))(
    "is told: %s",
    (_name, [given, severity, sentence]) => {
      const found = troublesIn({ ...inService, ...given }).find((trouble) => trouble.code === code);
      expect(found?.severity).toBe(severity);
      expect(found?.sentence).toMatch(sentence);
      for (const text of [found?.sentence, found?.next, found?.wayOut]) expect(text).toMatch(/^.{8,}[^.]$/);
    },
  );

  test("is not told where it is not so", () => {
    expect(not.length).toBeGreaterThan(0);
    for (const given of not) expect(codesIn(given)).not.toContain(code);
  });
});

describe("the order", () => {
  const night: Partial<VerdictFacts> = {
    ...saying({ redis: ["Redis does not answer"] }),
    data: anArea({ usedBytes: 20 * gibibyte }),
    failedRemovals: someRemovals,
    hold: aHold,
  };
  test("is by severity, and of the same severity what keeps all else from working comes first", () => {
    expect(codesIn(night)).toEqual(["redis-away", "pool-full", "removals-failed", "queue-held"]);
  });

  test("holds over several pools, the first of equals", () => {
    const of = (severity: Severity, n: number) => ({ severity, n });
    expect(worstOf([of("notice", 0), of("critical", 1), of("critical", 2)])).toEqual({ severity: "critical", n: 1 });
  });
});

test("times are told roughly", () => {
  expect([5_000, 25 * minute, 80 * minute, 3.2 * hour, 50 * hour].map(roughly)).toEqual([
    "less than a minute",
    "25 min",
    "80 min",
    "3 h",
    "2 days",
  ]);
});

test("a pool that is not the usual one is named in its commands", () => {
  const [held] = troublesIn({ ...inService, pool: "fast", hold: aHold });
  expect(held?.remedy?.command).toBe("snapmill --pool fast resume");
});

test.each(verdictCodes)("so it is in the way out of %s", (code) => {
  for (const [given] of cases[code].fires) {
    const { wayOut = "" } = troublesIn({ ...inService, ...given, pool: "fast" }).find((one) => one.code === code) ?? {};
    for (const [command] of wayOut.matchAll(/'snapmill (?!up\b)[^']*'/g))
      expect(command).toStartWith("'snapmill --pool fast ");
  }
});

test("the way out of a removal says what is to be done where its holder is known, and where it is not", () => {
  const wayOut = (holder: string | null) =>
    troublesIn({ ...inService, failedRemovals: { ...someRemovals, holder } })[0]?.wayOut;
  expect(wayOut("mounted at /mnt")).toBe("end what holds the device, or unmount it, then have them tried again");
  expect(wayOut(null)).toBe("mend what the sentence names, then have them tried again");
});

test("what was set aside is allowed again, not promised to be done", () => {
  const of = (count: number) => troublesIn({ ...inService, setAside: { count, jobs: ["prepare"], sinceMs: nowMs } })[0];
  expect(of(1)).toMatchObject({
    next: "it is refused; what it was for stays undone",
    wayOut: expect.stringMatching(/allow it again: whoever asked must ask once more$/),
    remedy: { label: "Allow what was set aside", operation: "cleanup" },
  });
  expect(of(2)?.next).toBe("they are refused; what they were for stays undone");
});
