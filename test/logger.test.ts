// What a log shows of an error is its words, not what a library hung on it.
import { expect, test } from "bun:test";
import { join } from "node:path";

const logger = JSON.stringify(join(import.meta.dir, "../src/logger.ts"));

test("an error is logged with message, code, stack and cause, and nothing else", () => {
  const script = `
    const { createLogger } = await import(${logger});
    const error = Object.assign(new Error("refused", { cause: new Error("why") }), {
      code: "ENOENT", command: { name: "auth", args: ["planted"] },
    });
    createLogger({ name: "test", level: "info" }).error({ err: error }, "a sentence");
  `;
  const { stderr } = Bun.spawnSync([process.execPath, "-e", script]);
  const line = JSON.parse(stderr.toString()) as { msg: string; err: Record<string, unknown> };
  expect(line).toMatchObject({ msg: "a sentence", err: { message: "refused", code: "ENOENT", cause: "why" } });
  expect(Object.keys(line.err).toSorted()).toEqual(["cause", "code", "message", "stack", "type"]);
  expect(stderr.toString()).not.toContain("planted");
});
