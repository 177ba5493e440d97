import { describe, expect, jest, test } from "bun:test";
import { pino } from "pino";
import { Repeats, tellOnce } from "../src/repeats.ts";

function logInto(lines: string[], repeats: Repeats) {
  const write = (line: string) => void lines.push(String((JSON.parse(line) as { msg: string }).msg));
  return pino({ level: "info", hooks: tellOnce(repeats) }, { write });
}

describe("a warning that is said again and again", () => {
  test("is logged once and then counted, and logged again after a pause", () => {
    jest.useFakeTimers();
    using _timers = { [Symbol.dispose]: () => void jest.useRealTimers() };
    const lines: string[] = [];
    const log = logInto(lines, new Repeats());
    for (let job = 0; job < 10_000; job += 1) log.error({ err: new Error("full") }, `job ${job} of 0a1b2c3d4e failed`);
    expect(lines).toEqual(["job 0 of 0a1b2c3d4e failed"]);
    jest.advanceTimersByTime(60_000);
    expect(lines).toHaveLength(2);
    expect(lines[1]).toBe("job 9999 of 0a1b2c3d4e failed (again 9999 times in the last minute)");
    // After a whole minute without one, it is news again.
    jest.advanceTimersByTime(60_000);
    log.error("job 7 of 99999999 failed");
    expect(lines).toHaveLength(3);
  });

  test("is logged for each subject, with the counts when the process ends", () => {
    const lines: string[] = [];
    const repeats = new Repeats();
    const log = logInto(lines, repeats);
    log.warn("redis-server died");
    log.warn("the pool worker died");
    log.warn("redis-server died");
    log.error("redis-server died");
    repeats.flush();
    expect(lines).toEqual([
      "redis-server died",
      "the pool worker died",
      "redis-server died",
      "redis-server died (again once in the last minute)",
    ]);
  });

  test("is logged for each reason", () => {
    const lines: string[] = [];
    const log = logInto(lines, new Repeats());
    for (const reason of ["ENOSPC", "EIO", "ENOSPC"])
      log.warn({ err: new Error(reason) }, "the outbox was not relayed");
    expect(lines).toHaveLength(2);
  });

  test("is not what is only information, or the end of a process", () => {
    const lines: string[] = [];
    const log = logInto(lines, new Repeats());
    for (const _ of [1, 2]) log.info("an image was unpacked");
    for (const _ of [1, 2]) log.fatal("it is over");
    expect(lines).toHaveLength(4);
  });

  test("is bounded in what is remembered of it", () => {
    const lines: string[] = [];
    const log = logInto(lines, new Repeats());
    const letters = "abcdefghijklmnopqrst";
    for (const one of letters) for (const two of letters) log.warn(`sentence ${one}${two}`);
    expect(lines).toHaveLength(400);
  });
});
