import { describe, expect, test } from "bun:test";
import { isPoolJobName, type PoolJobName, parsePayload, parseResult, poolJobNames } from "../../src/jobs/contract.ts";
import { anId, failureOf, pool, removal } from "./support.ts";

const envelope = { pool, operationId: anId };

describe("a payload", () => {
  test("that is parsed twice stays the same", () => {
    const given = { ...envelope, scope: "a/b", key: "k 1/x", parent: "p", labels: { "a.b/c": "d" } };
    const once = parsePayload("prepare", given);
    expect(parsePayload("prepare", JSON.parse(JSON.stringify(once)))).toEqual(once);
  });

  test("is refused with everything that is wrong with it", async () => {
    const given = { pool: "Not A Pool", operationId: "1", scope: "", key: "" };
    const failure = await failureOf(Promise.resolve().then(() => parsePayload("remove", given)));
    expect(failure.code).toBe("invalid_argument");
    expect(failure.message).toContain("remove: ");
    expect(failure.message).toContain('pool: pool name "Not A Pool" is not valid');
    expect(failure.message).toContain('operationId: operation ID "1" is not valid');
    expect(failure.message).toContain("scope: ");
    expect(failure.message).toContain("key: a snapshot's key or name must not be empty");
  });

  test("keeps labels of any name, also of those that every object has", () => {
    const entries = ["__proto__", "constructor", "toString"].map((name) => [name, `${name}'s`] as const);
    const given = { ...envelope, scope: "s", key: "k", labels: Object.fromEntries(entries) };
    const once = parsePayload("prepare", JSON.parse(JSON.stringify(given)));
    expect(Object.entries(once.labels)).toEqual(entries.map((entry) => [...entry]));
    expect(Object.entries(parsePayload("prepare", JSON.parse(JSON.stringify(once))).labels)).toHaveLength(3);
  });

  test("is refused with a number of mistakes, not with all of a million", async () => {
    const refusal = async (name: PoolJobName, fields: object) =>
      (await failureOf(Promise.resolve().then(() => parsePayload(name, { ...envelope, ...fields })))).message;
    const one = { scope: "s", key: "k", labels: {} };
    const many = Array.from({ length: 60_000 }, (_, index) => `${index}`);
    const labels = Object.fromEntries(many.map((name) => [name, "x"]));
    expect(await refusal("prepare", { ...one, labels })).toContain("at most 1024 labels, these are 60000");
    expect(await refusal("update", { ...one, fieldPaths: many })).toContain("fieldPaths: at most 1024 can be given");
    expect(await refusal("update", { ...one, fieldPaths: ["x".repeat(5000)] })).toContain("at most 4103 bytes");
    expect(await refusal("update", { ...one, fieldPaths: many.slice(0, 100).map(Number) })).toContain("and 92 more");
    expect(await refusal("accept-unpack", { requests: many.slice(0, 1001) })).toContain("at most 1000 can be given");
    expect(await refusal("prepare", { ...one, labels: { list: ["x"] } })).toContain("labels as texts by name");
    expect((await refusal("prepare", { ...one, scope: "?".repeat(100_000) })).length).toBeLessThan(500);
  });

  test("with labels that are too long names the label", async () => {
    const given = { ...envelope, scope: "s", key: "k", labels: { long: "x".repeat(5000) } };
    const failure = await failureOf(Promise.resolve().then(() => parsePayload("prepare", given)));
    expect(failure.message).toContain('labels: label "long" has 5004 bytes');
  });
});

test("a result of another shape is internal: a program answers nonsense", async () => {
  const failure = await failureOf(Promise.resolve().then(() => parseResult("prepare", { mounts: [{ type: 1 }] })));
  expect(failure.code).toBe("internal");
  expect(failure.message).toContain("mounts.0.type");
});

test("an unpack is no job of the pool's own queue", () => {
  expect(poolJobNames).toContain("accept-unpack");
  expect(isPoolJobName("remove")).toBe(true);
  expect(isPoolJobName("unpack")).toBe(false);
  expect(isPoolJobName("toString")).toBe(false);
  expect(parsePayload("remove", { ...envelope, ...removal }).key as string).toBe(removal.key);
});
