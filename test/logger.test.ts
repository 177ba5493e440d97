// Tests what a log shows of an error (its message, not the fields that a library adds), and logs that cannot be written.
import { expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
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

test("a log that cannot be written (its disk is full) does not end its process", async () => {
  const program = `import { createLogger } from ${logger};
    const log = createLogger({ name: "test", level: "info" });
    for (let line = 0; line < 5_000; line += 1) log.info({ text: "x".repeat(1_000) }, "a line");
    await Bun.sleep(0);
    process.stdout.write("alive");`;
  const full = openSync("/dev/full", "w");
  const child = Bun.spawn([process.execPath, "-e", program], { stdin: "ignore", stdout: "pipe", stderr: full });
  closeSync(full);
  expect(await new Response(child.stdout).text()).toBe("alive");
  expect(await child.exited).toBe(0);
});
