// Owns the proof that what a verdict offers can be pressed: its operation takes that input, and its command is one.
import { describe, expect, test } from "bun:test";
import type { Command } from "commander";
import { endpoints } from "../../src/api/http/v1/endpoints.ts";
import { buildProgram } from "../../src/cli/program.ts";
import { troublesIn } from "../../src/domain/verdict.ts";
import { api, type OperationName } from "../../src/service/api.ts";
import { anArea, inService, nowMs, someRemovals, watching } from "../support/verdict-facts.ts";

const hold = { kind: "paused", heldBy: "root", reason: "test", sinceMs: nowMs, handOverAtMs: null } as const;
const worstNight = {
  ...inService,
  pool: "fast",
  ...watching({ doctor: { atMs: nowMs, findings: 3 } }),
  data: anArea({ usedBytes: 20 * 2 ** 30 }),
  metadata: anArea({ usedBytes: 20 * 2 ** 30 }),
  hold,
  setAside: { count: 1, jobs: ["prepare"], sinceMs: nowMs },
  failedRemovals: someRemovals,
  failedBatches: [{ batch: "nightly-1", name: null, failed: 1, items: 2, isOver: true, sinceMs: nowMs }],
};
const reflinked = { ...worstNight, ...watching({ driver: "reflink" }) };
const remedies = [...troublesIn(worstNight), ...troublesIn(reflinked)].flatMap(({ code, remedy }) =>
  remedy === undefined ? [] : [[code, remedy] as const],
);

test("the worst night offers every remedy", () => {
  const operations = new Set(remedies.map(([, { operation }]) => operation));
  expect([...operations].sort()).toEqual(
    "cleanup doctor growPool pruneImages releaseQueue retryBatch retryRemovals".split(" "),
  );
});

describe.each(remedies)("%s", (_code, { operation, input, command }) => {
  test(`offers ${operation} with what it takes`, () => {
    expect(Object.keys(api)).toContain(operation);
    expect(endpoints[operation as OperationName].kind).toMatch(/^(change|long)$/);
    const schema = api[operation as OperationName].input;
    const known = Object.keys(schema.shape);
    expect(Object.keys(input).filter((field) => !known.includes(field))).toEqual([]);
    expect(schema.safeParse(input).success).toBe(true);
  });

  test(`offers the command ${command}`, async () => {
    const program = await buildProgram("0.0.0");
    let ran = "";
    const record = (each: Command): void => {
      each.exitOverride().configureOutput({ writeErr: () => undefined });
      for (const child of each.commands) record(child);
      if (each.commands.length === 0 || each.name() === "queues") {
        each.action(() => {
          ran = each.name();
        });
      }
    };
    record(program);
    const [, ...words] = command.split(" ");
    await program.parseAsync(words, { from: "user" });
    expect(command.split(" ")).toContain(ran);
  });
});
