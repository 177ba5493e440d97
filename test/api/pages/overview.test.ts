// The overview: what is wrong anywhere, the worst first, with buttons; and what each pool does.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { worstFirst } from "../../../src/api/http/pages/overview.tsx";
import { WorkerText } from "../../../src/api/http/pages/overview-row.tsx";
import { FillText } from "../../../src/api/http/pages/pool-fill.tsx";
import { stateOf } from "../../../src/api/http/pages/pool-state.tsx";
import { heldReason } from "../../../src/domain/queues.ts";
import type { Output } from "../../../src/service/api.ts";
import { aBusyDay, writeHistory } from "../../support/made-history.ts";
import { until } from "../../support/until.ts";
import { RunningApi } from "../v1/running-api.ts";
import { formsOf, formWith, htmlOf, textOf, Visitor } from "./page-visitor.ts";

setDefaultTimeout(120_000);

const shown = (drawn: Parameters<typeof htmlOf>[0]): string => textOf(htmlOf(drawn)).trim();

describe("of a real up", () => {
  let api: RunningApi;
  const visitor = new Visitor(() => api.url);
  beforeAll(async () => {
    api = await RunningApi.start({}, ({ config }) => writeHistory(config, aBusyDay(Date.now())));
    expect(await visitor.signIn(api.token)).toBe(303);
  });
  afterAll(async () => {
    await api[Symbol.asyncDispose]();
  });

  test("nothing is wrong, and the row has state, fill, the day, the worker and what has failed in it", async () => {
    const { status, html } = await visitor.visit("/");
    expect(status).toBe(200);
    const text = textOf(html);
    expect(text).toContain("What is wrong ✓ Nothing is wrong.");
    expect(text).toMatch(/default State ✓ in service Data ✓ \d+ % of \d+ MiB Metadata it has none of its own/);
    expect(text).toContain("Worker now waits for work Oldest waiting job none waits Running unpacks none");
    expect(text).toMatch(/Failures in a day \d+ × unpack: unavailable \d+ × prepare: resource_exhausted/);
    expect(html).toMatch(/<title id="day-default-title">Data of pool default in the last day, % in use<\/title>/);
    expect(html).toContain('<a href="/pools/default">default</a>');
  });

  test("what is wrong has its button: pressed, it is not wrong any more, and the audit log has why", async () => {
    const hold = await api.pool("/queues/unpack/pause", { method: "POST", body: { reason: "new kernel" } });
    expect(hold.status).toBe(200);
    const { html } = await visitor.visit("/");
    expect(textOf(html)).toMatch(/notice: Unpacks are paused by token \S+ \(new kernel\)\. Pool default , since 20/);
    expect(textOf(html)).toContain("State ! paused");
    expect(textOf(html)).toContain("At a terminal: snapmill resume");
    const after = await visitor.submit(formWith(html, "Resume unpacks"), { reason: "it is over" });
    expect(textOf(after.html)).toContain("Resume unpacks: done");
    expect(textOf(after.html)).toContain("Nothing is wrong.");
    const [latest] = (await api.ask("/v1/audit?limit=1")).body.items;
    expect(latest).toMatchObject({ operation: "releaseQueue", reason: "it is over", code: "ok", pool: "default" });
  });

  test("while Redis does not answer, the page is there, and says what it does not know", async () => {
    const redis = api.place.pidsOf("redis-server");
    expect(redis.length).toBeGreaterThan(0);
    for (const pid of redis) process.kill(pid, "SIGSTOP");
    try {
      await until(
        "the row says what is not known",
        () => visitor.visit("/"),
        ({ status, html }) =>
          status === 200 &&
          html.includes('role="img"') &&
          /State ✗ not ready Data ✓ \d+ % of 960 MiB/.test(textOf(html)) &&
          /Oldest waiting job (not known|! This cannot be shown now)/.test(textOf(html)),
        60_000,
      );
      expect((await visitor.visit("/pools/default")).status).toBe(200);
    } finally {
      for (const pid of redis) process.kill(pid, "SIGCONT");
    }
    await until(
      "the row is whole again",
      async () => textOf((await visitor.visit("/")).html),
      (text) => text.includes("State ✓ in service") && text.includes("Running unpacks none"),
      60_000,
    );
  });

  test("a reader sees the same, and no button", async () => {
    const looker = new Visitor(() => api.url);
    await looker.signIn((await api.place.run("token", "create", "looker", "--role", "read")).stdout.trim());
    const { status, html } = await looker.visit("/");
    expect([status, formsOf(html).map(({ action }) => action)]).toEqual([200, ["/sign-out"]]);
    expect(textOf(html)).toContain("Nothing is wrong.");
  });
});

test("the worst comes first, whichever pool it is in", () => {
  const finding = (pool: string, severity: string) => ({ pool, severity });
  const pools = [
    { findings: [finding("a", "warning"), finding("a", "notice")] },
    { findings: [finding("b", "critical"), finding("b", "warning")] },
  ] as unknown as Output<"verdict">["pools"];
  expect(worstFirst({ pools }).map(({ pool, severity }) => `${pool} ${severity}`)).toEqual([
    "b critical",
    "a warning",
    "b warning",
    "a notice",
  ]);
});

describe("the fill", () => {
  const nowMs = 1_800_000_000_000;
  const fill = (share: number) => ({ usedBytes: share * 2 ** 30, totalBytes: 2 ** 30 });
  const trend = (hours: number) => ({ fullAtMs: nowMs + hours * 3_600_000, bytesPerSecond: 1, fit: 1 });

  test.each([
    ["! 50 % of 1.0 GiB, full in 3 h", 0.5, trend(3)],
    ["✓ 50 % of 1.0 GiB, full in 4 days", 0.5, trend(96)],
    ["✓ 50 % of 1.0 GiB", 0.5, null],
    ["! 91 % of 1.0 GiB", 0.91, undefined],
    ["✗ 100 % of 1.0 GiB, full", 0.995, trend(0)],
  ])("is told with when it will be full: %s", (text, share, found) => {
    expect(shown(FillText({ fill: fill(share), trend: found, nowMs }))).toBe(text);
  });

  test("that is not known says so, and a pool without size is not divided by", () => {
    expect(shown(FillText({ fill: null, trend: null, nowMs }))).toBe("not known");
    expect(shown(FillText({ fill: { usedBytes: 0, totalBytes: 0 }, trend: null, nowMs }))).toContain("0 % of 0 B");
  });
});

describe("the worker", () => {
  const worker = { operation: "prepare", operationId: "x", sinceMs: 1_000, usuallyWithinMs: 300, isSlow: true };

  test("is told with what it does, for how long, and how long that usually takes", () => {
    expect(shown(WorkerText({ worker, atMs: 3_100 }))).toBe("prepare for 2.1 s; 95 % take less than 300 ms ! slow");
    const unusual = { ...worker, usuallyWithinMs: null, isSlow: false };
    expect(shown(WorkerText({ worker: unusual, atMs: 1_050 }))).toBe("prepare for 50 ms");
  });

  test("that is not there is not taken for one that waits", () => {
    expect(shown(WorkerText({ worker: null, atMs: 0 }))).toBe("! it does not run, or nobody knows");
  });
});

describe("the state", () => {
  const well = {
    metadata: { driver: "devmapper", poolState: "rw", space: { usedBytes: 1, totalBytes: 2 }, hold: null },
    readiness: { ok: true, parts: {} },
  };
  const told = (metadata: object | null, readiness: object | null = well.readiness) =>
    stateOf({ metadata: metadata && { ...well.metadata, ...metadata }, readiness } as Parameters<typeof stateOf>[0])
      .text;
  const hold = { kind: "drained", heldBy: "root", reason: "x", sinceMs: 1, handOverAtMs: null } as const;

  test("is the worst of what is known", () => {
    expect(told({})).toBe("in service");
    expect(told(null)).toBe("not made yet");
    expect(told({ hold }, { ok: false, parts: { queue: [heldReason(hold, "default")] } })).toBe("drained");
    expect(told({ hold }, { ok: false, parts: { redis: ["it does not answer"] } })).toBe("not ready");
    expect(told({}, { ok: false, parts: { redis: ["it does not answer"] } })).toBe("not ready");
    expect(told({}, { ok: false, parts: { queue: [heldReason(hold, "default")] } })).toBe("in service");
    expect(told({ hold, poolState: "needs_check" })).toBe("needs a check");
    expect(told({ space: null })).toBe("not attached");
    expect(told({}, null)).toBe("not ready");
  });
});
