// Tests of up that is stopped or killed at any moment of its start, and started again at once.
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { findRunning } from "../../src/supervisor/running.ts";
import { until } from "../support/until.ts";
import { healthOf, Place, urlIn } from "./running-up.ts";

const timeoutMs = 120_000;

test(
  "a signal at any moment of the start ends up in order, and leaves nothing",
  async () => {
    using place = new Place();
    const signals = ["SIGTERM", "SIGINT"] as const;
    for (const [index, delayMs] of [50, 300, 500, 700, 1_000, 1_500].entries()) {
      const signal = signals[index % signals.length] ?? "SIGTERM";
      const up = place.up();
      await Bun.sleep(delayMs);
      const ended = await up.end(signal);
      // Before it listens to signals, nothing has begun.
      expect([0, `${signal}`]).toContain(ended as never);
      expect(place.residue()).toEqual([]);
      expect(existsSync(place.config.runDir)).toBe(false);
      expect(await findRunning(place.config)).toBeUndefined();
    }
  },
  timeoutMs,
);

test(
  "an up that was killed can be started again at once, twice, and only one of two runs",
  async () => {
    using place = new Place();
    const first = place.up();
    await first.ready();
    expect(await first.end("SIGKILL")).toBe("SIGKILL");
    const second = place.up();
    await second.ready();
    expect(await second.end("SIGKILL")).toBe("SIGKILL");
    const both = [place.up(), place.up()];
    const url = urlIn(await Promise.any(both.map((up) => up.ready())));
    const ended = await Promise.race(both.map(async (up) => [up, await up.ended()] as const));
    expect(ended[1]).toBe(1);
    expect((await ended[0].stderr).trim().split("\n").at(-1)).toContain("a snapmill already runs for");
    expect((await healthOf(url)).status).toBe(200);
    const [running = both[0]] = both.filter((up) => up !== ended[0]);
    expect(await running?.end("SIGTERM")).toBe(0);
    await until(
      "nothing is left",
      () => place.residue(),
      ({ length }) => length === 0,
    );
  },
  timeoutMs,
);
