// Room: test. Owns whether downloads of several processes keep one rate together, on a clock that the test moves.
import { expect, test } from "bun:test";
import { SharedBandwidth, type SharedClock } from "../../../src/images/registry/shared-bandwidth.ts";
import { temporaryDirectory } from "../../support/directories.ts";

/** Moves on to the next waiting download once all of `running` wait. */
class SteppedClock implements SharedClock {
  running = 0;
  #atMs = 1000;
  readonly #waiting: { untilMs: number; wake: () => void }[] = [];

  nowMs(): number {
    return this.#atMs;
  }

  wait(ms: number): Promise<void> {
    return new Promise((wake) => this.#waiting.push({ untilMs: this.#atMs + ms, wake }));
  }

  async run(): Promise<void> {
    while (this.running > 0) {
      await new Promise((resolve) => setImmediate(resolve));
      if (this.running === 0 || this.#waiting.length < this.running) continue;
      this.#waiting.sort((one, other) => one.untilMs - other.untilMs);
      const next = this.#waiting.shift();
      this.#atMs = Math.max(this.#atMs, next?.untilMs ?? 0);
      next?.wake();
    }
  }
}

test("the downloads of a group get its whole rate together, and never more, however many there are", async () => {
  await using directory = await temporaryDirectory();
  const clock = new SteppedClock();
  const startedMs = clock.nowMs();
  const bytesPerSecond = 100_000;
  const fetched: { readonly atMs: number; readonly bytes: number }[] = [];
  async function download(chunks: number, chunkBytes: number): Promise<void> {
    clock.running += 1;
    const bandwidth = new SharedBandwidth({ directory: directory.path, group: "command", bytesPerSecond, clock });
    for (let chunk = 0; chunk < chunks; chunk += 1) {
      await bandwidth.spend(chunkBytes);
      fetched.push({ atMs: clock.nowMs() - startedMs, bytes: chunkBytes });
    }
    clock.running -= 1;
  }
  await Promise.all([download(20, 10_000), download(10, 64_000), download(3, 1_000), clock.run()]);

  let bytes = 0;
  for (const { atMs, bytes: more } of fetched) {
    bytes += more;
    expect(bytes).toBeLessThanOrEqual((atMs * bytesPerSecond) / 1000);
  }
  expect(bytes).toBe(200_000 + 640_000 + 3_000);
  // One that ends leaves its share to the others: 8.43 s at the whole rate, and a part of a grant for each download.
  expect(clock.nowMs() - startedMs).toBeLessThanOrEqual(8430 + 3 * 100);
});

test("another group's rate is its own, and a debt from another boot's clock is forgotten", async () => {
  await using directory = await temporaryDirectory();
  const waits: number[] = [];
  const clockAt = (atMs: number): SharedClock => ({
    nowMs: () => atMs,
    wait: (ms) => {
      waits.push(ms);
      return Promise.resolve();
    },
  });
  const bandwidth = (group: string, atMs: number) =>
    new SharedBandwidth({ directory: directory.path, group, bytesPerSecond: 1000, clock: clockAt(atMs) });
  await bandwidth("one", 900_000_000).spend(5000);
  await bandwidth("two", 900_000_000).spend(100);
  await bandwidth("one", 900_000_000).spend(100);
  await bandwidth("one", 1000).spend(100);
  expect(waits).toEqual([5000, 100, 5100, 100]);
});
