// Room: test. Owns the rules that hold for every file: who imports whom, how a file opens, how long it is.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { z } from "zod";

// On a busy machine, linters and the loading of every module take many seconds.
setDefaultTimeout(120_000);

const root = join(import.meta.dir, "..");
/** What a program wrote is another program's to judge: `npm run check` compares it with what it was written from. */
const isGenerated = (path: string): boolean => path.includes("/generated/");
const files = (pattern: string): string[] =>
  [...new Bun.Glob(pattern).scanSync(root)].filter((path) => !isGenerated(path)).sort();
const read = (path: string): Promise<string> => Bun.file(join(root, path)).text();
const sources = [...files("src/**/*.{ts,tsx}"), ...files("workers/**/*.ts")];
const everything = [...sources, ...files("test/**/*.ts"), ...files("scripts/**/*.ts"), ...files("bench/**/*.ts")];

/** The files that match `pattern`, as `path:line: text`. */
async function linesWith(pattern: RegExp, paths: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const path of paths) {
    const lines = (await read(path)).split("\n");
    for (const [index, line] of lines.entries()) {
      if (pattern.test(line)) found.push(`${path}:${index + 1}: ${line.trim()}`);
    }
  }
  return found;
}

describe("every file", () => {
  test("there are files to look at", () => {
    expect(sources.length).toBeGreaterThan(10);
    expect(everything).toContain("test/tidy.test.ts");
  });

  test("of the sources opens with the line that names its room", async () => {
    const opening = /^(#!.*\n)?\/\/ Room: [a-z -]+\. Owns .+/;
    const without: string[] = [];
    for (const path of sources) if (!opening.test(await read(path))) without.push(path);
    expect(without).toEqual([]);
  });

  test("with JSX says whose it is: tsconfig.json is not looked for where 'up' is started from elsewhere", async () => {
    const without: string[] = [];
    for (const path of files("src/**/*.tsx")) {
      if (!(await read(path)).includes("\n/** @jsxImportSource hono/jsx */\n")) without.push(path);
    }
    expect(without).toEqual([]);
  });

  test("has at most 350 lines", async () => {
    const long: string[] = [];
    for (const path of everything) {
      const lines = (await read(path)).split("\n").length - 1;
      if (lines > 350) long.push(`${path}: ${lines} lines`);
    }
    expect(long).toEqual([]);
  });

  test("has a name that says what is in it", () => {
    const vague = /(^|-)(utils?|helpers?|managers?|common)(-|\.|$)/;
    const parts = (path: string) => path.split("/");
    expect(everything.filter((path) => parts(path).some((part) => vague.test(part)))).toEqual([]);
  });

  test("leaves the environment to config.ts", async () => {
    const others = sources.filter((path) => path !== "src/config.ts");
    expect(await linesWith(/\b(process|Bun)\s*\.\s*env\b|import\.meta\.env/, others)).toEqual([]);
  });

  test("leaves the start of processes to system", async () => {
    const others = sources.filter((path) => !path.startsWith("src/system/"));
    expect(await linesWith(/\bBun\s*\.\s*(spawn|spawnSync|\$)|\bfrom "bun"/, others)).toEqual([]);
  });

  test("runs all of its tests", async () => {
    const tests = everything.filter((path) => path !== "test/tidy.test.ts");
    expect(await linesWith(/\b(test|it|describe)\.(only|todo|skip|failing)\b/, tests)).toEqual([]);
  });
});

/** The linter's rule for one room. */
const roomRule = z.object({
  includes: z.tuple([z.string().regex(/^src\/([a-z]+|api\/dashboard)\/\*\*$/)]),
  linter: z.object({
    rules: z.object({
      style: z.object({
        noRestrictedImports: z.object({
          options: z.object({ patterns: z.array(z.object({ group: z.array(z.string()) })) }),
        }),
      }),
    }),
  }),
});

/** "!**\/domain/**" lets domain in, "!**\/config.ts" one file; libraries and a room's own folders look otherwise. */
const letIn = (pattern: string): string[] => /^!\*\*\/(.+?)(?:\/\*\*)?$/.exec(pattern)?.slice(1) ?? [];

test("the table of rooms in docs/ARCHITECTURE.md lets each import what the linter does", async () => {
  const { overrides } = z.object({ overrides: z.array(z.unknown()) }).parse(JSON.parse(await read("biome.json")));
  const byLinter = overrides.flatMap((override) => {
    const { data } = roomRule.safeParse(override);
    if (data === undefined) return [];
    const { patterns } = data.linter.rules.style.noRestrictedImports.options;
    return [[data.includes[0].slice(0, -3), patterns.flatMap(({ group }) => group.flatMap(letIn)).toSorted()] as const];
  });
  const rows = (await read("docs/ARCHITECTURE.md")).matchAll(/^\| `(src\/[a-z/]+)` \|[^|]*\| ([^|]*) \|$/gm);
  const byTable = [...rows].map(([, room = "", cell = ""]) => [
    room,
    cell === "nothing" ? [] : cell.split(", ").toSorted(),
  ]);
  expect(byTable.length).toBeGreaterThan(10);
  expect(Object.fromEntries(byTable)).toEqual(Object.fromEntries(byLinter));
});

describe("the linter refuses", () => {
  /** A file that breaks one rule: where it lies, its one telling line, the rule. */
  const imports = "lint/style/noRestrictedImports";
  const violations: readonly (readonly [path: string, line: string, rule: string])[] = [
    ["src/domain/a.ts", 'import { x } from "zod";', imports],
    ["src/domain/b.ts", 'import { x } from "../system/libc.ts";', imports],
    ["src/domain/c.ts", 'import { x } from "node:fs";', imports],
    ["src/system/a.ts", 'import { x } from "../metadata/schema.ts";', imports],
    ["src/system/b.ts", 'import { x } from "../config.ts";', imports],
    ["src/system/c.ts", 'import { x } from "node:child_process";', imports],
    ["src/drivers/a.ts", 'import { x } from "../metadata/devices.ts";', imports],
    ["src/drivers/b.ts", 'import { x } from "../config.ts";', imports],
    ["src/drivers/reflink/c.ts", 'import { x } from "../../jobs/contract.ts";', imports],
    ["src/drivers/reflink/d.ts", 'import { x } from "execa";', imports],
    ["src/metadata/a.ts", 'import { x } from "../jobs/contract.ts";', imports],
    ["src/metadata/b.ts", 'import { x } from "bullmq";', imports],
    ["src/jobs/a.ts", 'import { x } from "../metadata/journal.ts";', imports],
    ["src/jobs/b.ts", 'import { x } from "drizzle-orm";', imports],
    ["src/tar/a.ts", 'import { x } from "../images/image.ts";', imports],
    ["src/tar/b.ts", 'import { x } from "node:fs";', imports],
    ["src/images/a.ts", 'import { x } from "../unpack/chain.ts";', imports],
    ["src/images/registry/a.ts", 'import { x } from "../../unpack/chain.ts";', imports],
    ["src/images/b.ts", 'import { x } from "bun:ffi";', imports],
    ["src/unpack/a.ts", 'import { x } from "../jobs/contract.ts";', imports],
    ["src/unpack/b.ts", 'import { x } from "../metadata/images.ts";', imports],
    ["src/snapshotter/a.ts", 'import { x } from "../drivers/reflink/driver.ts";', imports],
    ["src/snapshotter/b.ts", 'import { x } from "../system/loop.ts";', imports],
    ["src/snapshotter/c.ts", 'import { x } from "../jobs/queues.ts";', imports],
    ["src/telemetry/a.ts", 'import { x } from "../jobs/contract.ts";', imports],
    ["src/jobs/traces.ts", 'import { x } from "@opentelemetry/api";', imports],
    ["workers/traces.ts", 'import { x } from "@opentelemetry/api";', imports],
    ["src/service/a.ts", 'import { x } from "../snapshotter/prepare.ts";', imports],
    ["src/service/b.ts", 'import { x } from "../cli/output.ts";', imports],
    ["src/service/c.ts", 'import { x } from "commander";', imports],
    ["src/api/http/a.ts", 'import { x } from "../../snapshotter/verbs.ts";', imports],
    ["src/api/b.ts", 'import { x } from "../system/commands.ts";', imports],
    ["src/api/c.ts", 'import { x } from "bullmq";', imports],
    ["src/api/grpc/d.ts", 'import { x } from "../../jobs/contract.ts";', imports],
    ["src/api/grpc/e.ts", 'import { x } from "../../metadata/snapshots.ts";', imports],
    ["src/api/dashboard/f.ts", 'import { x } from "../../metadata/snapshots.ts";', imports],
    ["src/client/a.ts", 'import { x } from "../service/store.ts";', imports],
    ["src/client/b.ts", 'import { x } from "../system/file/locks.ts";', imports],
    ["src/cli/a.ts", 'import { x } from "../drivers/port.ts";', imports],
    ["src/cli/b.ts", 'import { x } from "../snapshotter/verbs.ts";', imports],
    ["src/cli/c.ts", 'import { x } from "../images/layout.ts";', imports],
    ["src/cli/d.ts", 'import { x } from "../jobs/contract.ts";', imports],
    ["src/cli/e.ts", 'import { x } from "../metadata/snapshots.ts";', imports],
    ["src/cli/f.ts", 'import { x } from "../supervisor/running.ts";', imports],
    ["src/cli/g.ts", 'import { x } from "../system/file/locks.ts";', imports],
    ["src/config/a.ts", 'import { x } from "../supervisor/running.ts";', imports],
    ["src/config/b.ts", 'import { x } from "../drivers/open.ts";', imports],
    ["src/supervisor/a.ts", 'import { x } from "../drivers/port.ts";', imports],
    ["src/supervisor/c.ts", 'import { x } from "../api/http/server.ts";', imports],
    ["src/supervisor/b.ts", 'import { x } from "bullmq";', imports],
    ["src/main.ts", 'import { x } from "bullmq";', imports],
    ["src/cli.ts", 'import { x } from "node:child_process";', imports],
    ["workers/a.ts", 'import { x } from "drizzle-orm/bun-sqlite";', imports],
    ["workers/b.ts", 'import { x } from "bun:ffi";', imports],
    ["workers/c.ts", 'import { x } from "execa";', imports],
    ["src/jobs/dynamic.ts", 'const x = await import("../metadata/journal.ts");', imports],
    ["src/jobs/type.ts", 'import type { x } from "../metadata/journal.ts";', imports],
    ["src/jobs/environment.ts", 'const x = process.env["HOME"];', "lint/style/noProcessEnv"],
    ["src/jobs/controller.ts", "const x = new AbortController();", "lint/style/noRestrictedGlobals"],
    ["workers/timer.ts", "const x = setTimeout(() => 1, 1);", "lint/style/noRestrictedGlobals"],
    ["src/jobs/console.ts", "const x = console.log(1);", "lint/suspicious/noConsole"],
    ["test/only.test.ts", 'const x = test.only("alone", () => {});', "lint/suspicious/noFocusedTests"],
  ];
  /** What each room needs: a rule that refuses everything would pass all of the above. */
  const allowed: readonly (readonly [path: string, line: string])[] = [
    ["src/domain/ok.ts", 'import { x } from "./errors.ts";'],
    ["src/system/ok.ts", 'import { x } from "../domain/errors.ts";'],
    ["src/system/ok-library.ts", 'import { x } from "bun:ffi";'],
    ["src/drivers/reflink/ok.ts", 'import { x } from "../port.ts";'],
    ["src/drivers/reflink/ok-system.ts", 'import { x } from "../../system/loop.ts";'],
    ["src/metadata/ok.ts", 'import { x } from "drizzle-orm/bun-sqlite";'],
    ["src/jobs/ok.ts", 'import { x } from "bullmq";'],
    ["src/tar/ok.ts", 'import { x } from "../system/tree/bytes.ts";'],
    ["src/images/registry/ok.ts", 'import { x } from "../image.ts";'],
    ["src/images/ok.ts", 'import { x } from "node:fs/promises";'],
    ["src/images/ok-tar.ts", 'import { x } from "../tar/header.ts";'],
    ["src/unpack/ok.ts", 'import { x } from "../images/image.ts";'],
    ["src/snapshotter/ok.ts", 'import { x } from "../drivers/port.ts";'],
    ["src/snapshotter/ok-contract.ts", 'import { x } from "../jobs/contract.ts";'],
    ["src/telemetry/ok.ts", 'import { x } from "@opentelemetry/api";'],
    ["src/service/ok.ts", 'import { x } from "../metadata/snapshots.ts";'],
    ["src/api/http/ok.ts", 'import { x } from "../../service/snapshots.ts";'],
    ["src/api/dashboard/ok.ts", 'import { x } from "../../jobs/queues.ts";'],
    ["src/client/ok.ts", 'import { x } from "../domain/errors.ts";'],
    ["src/cli/ok.ts", 'import { x } from "../images/reference.ts";'],
    ["src/config/ok.ts", 'import { x } from "toml-eslint-parser";'],
    ["src/supervisor/ok.ts", 'import { x } from "../system/processes.ts";'],
    ["workers/ok.ts", 'import { x } from "../src/snapshotter/verbs.ts";'],
    ["src/config.ts", 'const x = process.env["HOME"];'],
    ["src/domain/cancellation.ts", "const x = new AbortController();"],
    ["src/domain/timers.ts", "const x = setTimeout(() => 1, 1);"],
  ];

  const report = z.object({
    diagnostics: z.array(z.object({ category: z.string(), location: z.object({ path: z.string() }) })),
  });
  let directory = "";
  let diagnostics: z.infer<typeof report>["diagnostics"] = [];

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "snapmill-tidy-"));
    for (const name of ["biome.json", "package.json", ".gitignore"]) cpSync(join(root, name), join(directory, name));
    symlinkSync(join(root, "node_modules"), join(directory, "node_modules"));
    for (const [path, line] of [...violations, ...allowed]) {
      mkdirSync(dirname(join(directory, path)), { recursive: true });
      writeFileSync(join(directory, path), `${line}\n\nexport const y = x;\n`);
    }
    const biome = Bun.spawn(
      [join(root, "node_modules/.bin/biome"), "lint", "--reporter=json", "--max-diagnostics=none"],
      {
        cwd: directory,
        stdout: "pipe",
        stderr: "ignore",
      },
    );
    diagnostics = report.parse(JSON.parse(await new Response(biome.stdout).text())).diagnostics;
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const refusals = (path: string) =>
    diagnostics.filter((found) => found.location.path === path).map((found) => found.category);

  test.each(violations)("in %s: %s", (path, _line, rule) => {
    expect(refusals(path)).toContain(rule);
  });
  test.each(allowed)("nothing in %s: %s", (path) => {
    expect(
      refusals(path).filter((rule) =>
        [imports, "lint/style/noProcessEnv", "lint/style/noRestrictedGlobals"].includes(rule),
      ),
    ).toEqual([]);
  });
  test("and every room has such a case", () => {
    const rooms = files("src/*/**/*.ts").map((path) => path.split("/")[1] ?? "");
    for (const room of new Set(rooms)) {
      expect(violations.some(([path]) => dirname(path).startsWith(`src/${room}`))).toBe(true);
      expect(allowed.some(([path]) => basename(path).startsWith("ok") && path.startsWith(`src/${room}/`))).toBe(true);
    }
  });
});
