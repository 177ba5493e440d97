import { expect, test } from "bun:test";
import { until } from "./until.ts";

test("a state that comes is waited for and returned", async () => {
  let looks = 0;
  const look = () => {
    looks += 1;
    return Promise.resolve(looks);
  };
  expect(await until("it was looked at three times", look, (count) => count === 3)).toBe(3);
  expect(looks).toBe(3);
});

test("a state that does not come is an error that says what was waited for and what was seen last", async () => {
  const counts = { pool: { waiting: 2, failed: 0 } };
  const waiting = until(
    "the job has failed",
    () => counts,
    ({ pool }) => pool.failed === 1,
    30,
  );
  await expect(waiting).rejects.toThrow(
    /^waited 0\.\d s in vain until the job has failed; seen last: \{[\s\S]*waiting: 2,/,
  );
});

test("of a very long state, the beginning and the end are shown", async () => {
  const waiting = until(
    "the log ends",
    () => `begin${"x".repeat(100_000)}end`,
    () => false,
    0,
  );
  const error = await waiting.catch((reason: unknown) => reason);
  expect(String(error)).toMatch(/"beginx+ \[\.\.\.\] x+end"$/);
  expect(String(error).length).toBeLessThan(5_000);
});
