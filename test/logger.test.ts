// Tests what a log shows, for machines and for people: fields of the work under way, errors, no credential; and logs that cannot be written.
import { expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { childEnvironment } from "../src/config.ts";

const source = (path: string): string => JSON.stringify(join(import.meta.dir, "../src", path));
const logger = source("logger.ts");

/** The environment without what forces or forbids colours. */
function uncoloured(): Record<string, string> {
  const { FORCE_COLOR: _1, NO_COLOR: _2, CI: _3, NODE_DISABLE_COLORS: _4, ...environment } = childEnvironment({});
  return environment;
}

/** What a program writes to stderr that has `log`, a logger of this format. */
function logged(format: string, program: string, environment: Readonly<Record<string, string>> = {}): string {
  const script = `
    const { createLogger } = await import(${logger});
    const log = createLogger({ name: "test", level: "info", format: ${JSON.stringify(format)} });
    ${program}
  `;
  const { stderr, exitCode } = Bun.spawnSync([process.execPath, "-e", script], {
    env: { ...uncoloured(), ...environment },
  });
  expect({ exitCode, stderr: stderr.toString() }).toMatchObject({ exitCode: 0 });
  return stderr.toString();
}

test("an error is logged with message, code, stack and cause, and nothing else", () => {
  const stderr = logged(
    "auto",
    `const error = Object.assign(new Error("refused", { cause: new Error("why") }), {
      code: "ENOENT", command: { name: "auth", args: ["planted"] },
    });
    log.error({ err: error }, "a sentence");`,
  );
  const line = JSON.parse(stderr) as { msg: string; err: Record<string, unknown> };
  expect(line).toMatchObject({ msg: "a sentence", err: { message: "refused", code: "ENOENT", cause: "why" } });
  expect(Object.keys(line.err).toSorted()).toEqual(["cause", "code", "message", "stack", "type"]);
  expect(stderr).not.toContain("planted");
});

test("a line has no fields of the lines before it, within work and outside", () => {
  const stderr = logged(
    "json",
    `const { observeWork, inWork } = await import(${source("domain/work.ts")});
    const { WorkContext } = await import(${source("telemetry/work-context.ts")});
    observeWork(new WorkContext());
    const lines = () => {
      log.warn({ deaths: 3, err: new Error("why") }, "one died");
      log.info("all is well");
    };
    lines();
    inWork({ name: "job", fields: { operationId: "op-1" } }, lines);`,
  );
  const lines = stderr
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const quiet = lines.filter(({ msg }) => msg === "all is well");
  const ownFields = quiet.map(({ level: _1, time: _2, pid: _3, hostname: _4, name: _5, msg: _6, ...rest }) => rest);
  expect(ownFields).toEqual([{}, { operationId: "op-1" }]);
});

test("each line has the fields of the work under way, and those of no other", () => {
  const stderr = logged(
    "json",
    `const { observeWork, inWork } = await import(${source("domain/work.ts")});
    const { WorkContext } = await import(${source("telemetry/work-context.ts")});
    observeWork(new WorkContext());
    const work = (operationId, key) => inWork({ name: "job", fields: { operationId, pool: "p", key } }, async () => {
      await Bun.sleep(5);
      await inWork({ name: "driver", fields: { device: "p-snap-1" } }, async () => log.info("device"));
      log.warn({ key: "its own" }, key === undefined ? "without a key" : "with one");
    });
    await Promise.all([work("op-1", "a"), work("op-2", undefined)]);
    log.info("after");`,
  );
  const lines = stderr
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const fields = lines.map(({ level: _1, time: _2, pid: _3, hostname: _4, name: _5, ...rest }) => rest);
  expect(fields).toHaveLength(5);
  expect(fields).toContainEqual({ msg: "device", operationId: "op-1", pool: "p", key: "a", device: "p-snap-1" });
  expect(fields).toContainEqual({ msg: "device", operationId: "op-2", pool: "p", device: "p-snap-1" });
  expect(fields).toContainEqual({ msg: "with one", operationId: "op-1", pool: "p", key: "its own" });
  expect(fields.at(-1)).toEqual({ msg: "after" });
});

test("no line has a credential, wherever it is in what was logged", () => {
  const program = `
    const error = new Error("cannot reach redis://default:planted@host:6379", { cause: new Error("Bearer planted1") });
    log.error({ err: error, url: "https://user:planted@registry/v2/", token: "planted" }, error.message);
    log.child({ headers: { authorization: "Basic planted1=" } }).warn("password=planted");
    log.info({ body: JSON.stringify({ access_token: "planted" }) }, "answer");`;
  for (const format of ["json", "pretty"]) {
    const stderr = logged(format, program);
    expect(stderr.trim().split("\n")).toHaveLength(3);
    expect(stderr).toContain("***");
    expect(stderr).not.toContain("planted");
  }
});

test("lines for people have columns, escape control characters, and are without colour where that is no terminal", () => {
  const stderr = logged(
    "pretty",
    `log.info("one");
    log.warn({ key: "two words", pool: "p", device: undefined }, "a\\u001b[2J\\nb");
    log.error({ err: new Error("why\\r") }, "three");
    log.error({ err: new Error("four") }, "four");`,
  );
  const lines = stderr.trimEnd().split("\n");
  expect(lines.map((line) => line.replace(/^\d\d:\d\d:\d\d/, "TIME"))).toEqual([
    "TIME info  test     one",
    'TIME warn  test     a\\u001b[2J\\u000ab  key="two words" pool=p',
    "TIME error test     three: why\\u000d",
    "TIME error test     four",
  ]);
});

test("on a terminal the lines are for people, in colour unless NO_COLOR is set, and JSON if that is asked for", () => {
  const onTerminal = (format: string, environment: Readonly<Record<string, string>> = {}): string => {
    const script = `(await import(${logger})).createLogger({ name: "test", level: "info", format: "${format}" }).warn("x")`;
    const terminal = Bun.spawnSync(["script", "-qec", `'${process.execPath}' -e '${script}'`, "/dev/null"], {
      env: { ...uncoloured(), TERM: "xterm-256color", ...environment },
    });
    return terminal.stdout.toString();
  };
  expect(onTerminal("auto")).toContain("\u001b[33mwarn \u001b[39m");
  expect(onTerminal("auto", { NO_COLOR: "1" })).toMatch(/^\d\d:\d\d:\d\d warn {2}test {5}x\r?\n$/);
  expect(JSON.parse(onTerminal("json"))).toMatchObject({ level: "warn", msg: "x" });
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
