// Room: test. Specifies what a command that unpacks says of a pool whose queue is held.
import { expect, test } from "bun:test";
import type { Pool } from "../../../src/cli/pool/pool.ts";
import { tellHold } from "../../../src/cli/support/held.ts";
import { failedPrecondition, notFound } from "../../../src/domain/errors.ts";

const poolThatThrows = (error: Error): Pool =>
  ({ unpackHold: () => Promise.reject(error), serving: () => Promise.resolve("lasting") }) as Partial<Pool> as Pool;

test("a pool that an 'up' is still making is not held", async () => {
  await tellHold(poolThatThrows(notFound("there is no pool here yet")));
});

test("what else keeps a pool from being asked is told", async () => {
  const error = failedPrecondition("the pool's database is damaged");
  expect(await tellHold(poolThatThrows(error)).catch((thrown: unknown) => thrown)).toBe(error);
});
