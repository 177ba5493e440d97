// Room: test. Specifies how the snapmill that runs for a state directory is described.
import { expect, test } from "bun:test";
import { pagesUrl, type Running } from "../../src/domain/running.ts";
import { runningShape } from "../../src/supervisor/running.ts";

const running: Running = {
  pid: 4711,
  kind: "up",
  pools: ["default"],
  redisUrl: "redis://127.0.0.1:6379",
  httpAddress: "127.0.0.1:7070",
  isHttps: false,
  startedAtMs: 0,
};

test("its pages are where its address and its certificate say", () => {
  expect(pagesUrl(running)).toBe("http://127.0.0.1:7070/");
  expect(pagesUrl({ ...running, isHttps: true })).toBe("https://127.0.0.1:7070/");
});

test("one that was started before it said whether it has a certificate is recognized", () => {
  const { isHttps: _, ...older } = running;
  expect(runningShape.parse(older)).toEqual(running);
});
