// Room: test. Owns the verdict on a real pool that fills up: nearly full, full, and well again when space is made.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { RunningApi } from "../api/v1/running-api.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(180_000);

let api: RunningApi;
beforeAll(async () => {
  api = await RunningApi.start({ SNAPMILL_DEVICE_SIZE: "512MiB" });
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

const chunk = randomBytes(4 * 2 ** 20);
const verdict = async () => (await api.pool("/verdict")).body;
const usedShare = async (): Promise<number> => {
  const { usedBytes, totalBytes } = (await api.pool("/status")).body.metadata.space;
  return usedBytes / totalBytes;
};

/** Writes to the device of a new snapshot until the pool is so full, or the device is. */
async function fill(key: string, share: number): Promise<void> {
  const prepared = await api.pool(`/snapshots/${key}/prepare`, { method: "POST", body: {} });
  const fd = openSync(prepared.body.mounts[0].source, "r+");
  try {
    for (let at = 0; at < 480 * 2 ** 20 && (await usedShare()) < share; at += chunk.length) {
      writeSync(fd, chunk, 0, chunk.length, 2 ** 24 + at);
      fsyncSync(fd);
    }
  } finally {
    closeSync(fd);
  }
}

test("it is told that the pool is nearly full, then that it is full, with what mends it, and no longer when there is space", async () => {
  await fill("one", 0.93);
  await fill("two", 0.93);
  const nearly = await until("it is nearly full", verdict, ({ code }) => code === "pool-filling");
  expect(nearly.severity).toMatch(/warning|critical/);
  expect(nearly.remedy).toEqual({
    label: "Remove unused images until 20 % is free",
    operation: "pruneImages",
    input: { untilFreeShare: 0.2 },
    command: "snapmill images prune --until-free 20%",
  });
  const begunMs = Date.now();
  await fill("three", 0.992);
  const full = await until("it is full", verdict, ({ code }) => code === "pool-full");
  expect(full).toMatchObject({
    severity: "critical",
    sentence: expect.stringMatching(/^pool default is full: \d+ % of/),
  });
  expect(full.since).toBeGreaterThan(begunMs - 20_000);
  expect((await api.place.run("status")).stdout).toMatch(/^Verdict +critical: pool default is full/);
  for (const key of ["one", "two", "three"]) await api.pool(`/snapshots/${key}`, { method: "DELETE" });
  await until("there is space", verdict, ({ findings }) =>
    findings.every(({ code }: { code: string }) => code !== "pool-full" && code !== "pool-filling"),
  );
});
