// Room: test. Owns what a service manager is told, over a real datagram socket: by `up`, and by the room alone.
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { serviceManagerSettings } from "../../src/config.ts";
import { createLogger } from "../../src/logger.ts";
import { Notifier } from "../../src/supervisor/notifier.ts";
import { monotonicUs, NotifySocket } from "../../src/system/process/notify-socket.ts";
import { temporaryDirectory } from "../support/directories.ts";
import { NotifyListener } from "../support/notify-listener.ts";
import { until } from "../support/until.ts";
import { Place } from "./running-up.ts";

const log = createLogger({ name: "test", level: "silent" });

test("up says how it starts, that it is ready and alive, and how it stops", async () => {
  await using directory = await temporaryDirectory();
  await using systemd = await NotifyListener.open(join(directory.path, "notify"));
  using place = new Place({ NOTIFY_SOCKET: systemd.name, WATCHDOG_USEC: "500000" });
  const up = place.up();
  await up.ready();
  await until(
    "a sign of life after ready",
    () => systemd.heard.slice(systemd.heard.findIndex(({ lines }) => lines.includes("READY=1"))),
    (since) => since.some(({ lines }) => lines.includes("WATCHDOG=1")),
  );
  expect(await up.end("SIGTERM")).toBe(0);
  await until(
    "the end is told",
    () => systemd.heard,
    (heard) => heard.some(({ lines }) => lines.includes("STOPPING=1")),
  );
  const told = systemd.heard.map(({ lines }) => lines).filter(([first]) => first !== "WATCHDOG=1");
  expect(told[0]).toEqual(["EXTEND_TIMEOUT_USEC=30000000", expect.stringMatching(/^STATUS=starting: \w/)]);
  expect(told.filter(([first]) => !first?.startsWith("EXTEND"))).toEqual([["READY=1", "STATUS=ready"], ["STOPPING=1"]]);
  expect(told.at(-1)).toEqual(["EXTEND_TIMEOUT_USEC=30000000", "STATUS=stopping"]);
  // As NotifyAccess=main asks for: children know nothing of the socket.
  expect([...new Set(systemd.heard.map(({ pid }) => pid))]).toEqual([up.pid]);
  expect(place.residue()).toEqual([]);
}, 120_000);

test("up that cannot start says why it stops", async () => {
  await using directory = await temporaryDirectory();
  await using systemd = await NotifyListener.open(join(directory.path, "notify"));
  using place = new Place({ NOTIFY_SOCKET: systemd.name, REDIS_URL: `unix://${directory.path}/no-redis.sock` });
  expect(await place.up().ended()).toBe(1);
  const last = await until(
    "the reason is told",
    () => systemd.heard.at(-1)?.lines ?? [],
    (lines) => lines[0]?.startsWith("EXTEND_TIMEOUT_USEC=") === true && /stopping/.test(lines[1] ?? ""),
  );
  expect(last[1]).toMatch(/^STATUS=stopping: .*no-redis\.sock is not there/);
}, 60_000);

describe("a manager", () => {
  test("in the abstract namespace hears one message at a time, of lines that say what they say", async () => {
    await using systemd = await NotifyListener.open(`@snapmill-test-${process.pid}-${Math.random()}`);
    const before = monotonicUs();
    using notifier = new Notifier({ socket: systemd.name, watchdogMs: undefined }, log);
    notifier.ready();
    notifier.health({ ok: true, reasons: [] });
    notifier.health({ ok: false, reasons: ["one\nREADY=1", "two"] });
    notifier.health({ ok: false, reasons: ["one\nREADY=1", "two"] });
    notifier.reloading();
    notifier.ready();
    const heard = await until(
      "all is told",
      () => systemd.heard.map(({ lines }) => lines),
      ({ length }) => length === 4,
    );
    const [, monotonic = ""] = heard[2]?.[1]?.split("=") ?? [];
    expect(heard).toEqual([
      ["READY=1", "STATUS=ready"],
      ["STATUS=not ready: one READY=1; two"],
      ["RELOADING=1", `MONOTONIC_USEC=${monotonic}`, "STATUS=reading the configuration again"],
      ["READY=1", "STATUS=ready"],
    ]);
    expect(BigInt(monotonic)).toBeGreaterThanOrEqual(before);
    expect(BigInt(monotonic)).toBeLessThanOrEqual(monotonicUs());
  });

  test("that has no room hears what matters later, and not what was true before", async () => {
    await using systemd = await NotifyListener.open(`@snapmill-test-${process.pid}-${Math.random()}`);
    using other = new NotifySocket(systemd.name);
    systemd.pause();
    while (other.send("filler"));
    using notifier = new Notifier({ socket: systemd.name, watchdogMs: undefined }, log);
    notifier.ready();
    notifier.health({ ok: false, reasons: ["for a moment"] });
    notifier.stopping("stopping");
    systemd.resume();
    const told = await until(
      "the end is told",
      () => systemd.heard.map(({ lines }) => lines).filter(([line]) => line !== "filler"),
      (heard) => heard.some(([line]) => line === "STOPPING=1"),
    );
    expect(told).toEqual([["READY=1", "STATUS=ready"], ["STOPPING=1"]]);
  });

  test("that is not there, or has no name, ends nothing", () => {
    for (const socket of [undefined, "/nowhere/notify", "nowhere", "@", "vsock:2:1", `/${"x".repeat(108)}`]) {
      using notifier = new Notifier({ socket, watchdogMs: 10_000 }, log);
      notifier.starting(() => "nothing");
      notifier.ready();
      notifier.stopping("stopping");
    }
  });
});

test("only the process that the watchdog is meant for answers to it", () => {
  const settings = (environment: Record<string, string>) => serviceManagerSettings(environment).watchdogMs;
  expect(settings({ WATCHDOG_USEC: "30000000" })).toBe(30_000);
  expect(settings({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: String(process.pid) })).toBe(30_000);
  expect(settings({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "1" })).toBeUndefined();
  for (const given of ["0", "-1", "soon", ""]) expect(settings({ WATCHDOG_USEC: given })).toBeUndefined();
});
