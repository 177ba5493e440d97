// Room: test. Owns what is derived from the schema of settings: the default file, the README's table, the example's run.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defaultFile, settingsTable } from "../../src/config/example.ts";
import { showSettings } from "../../src/config/show.ts";
import { childEnvironment, givenSettings, readConfig, readServed } from "../../src/config.ts";

const root = join(import.meta.dir, "../..");
let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "snapmill-config-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const saved = (text: string): string => {
  const path = join(directory, "config.toml");
  writeFileSync(path, text, { mode: 0o600 });
  return path;
};

test("the file of defaults changes nothing, and takes tables of pools", () => {
  const file = saved(defaultFile());
  const { configFile, ...config } = readConfig({}, { SNAPMILL_CONFIG: file });
  const { configFile: none, ...usual } = readConfig({}, { SNAPMILL_CONFIG: "" });
  expect([configFile, none]).toEqual([file, undefined]);
  expect(config).toEqual(usual);
  const more = saved(`${defaultFile()}[pools.fast]\n[pools.bulk]\n`);
  expect(readServed({}, { SNAPMILL_CONFIG: more })).toHaveLength(2);
});

test("each setting in it is shown as coming from its line", () => {
  const file = saved(defaultFile());
  const outcome = showSettings(givenSettings({}, { SNAPMILL_CONFIG: file }));
  if (outcome.kind === "wrong") throw new Error(outcome.faults.join("\n"));
  const lines = defaultFile().split("\n");
  const all = [...outcome.shown.settings, ...Object.values(outcome.shown.pools).flat()];
  const fromFile = all.filter(({ from }) => from.startsWith(`${file}:`));
  expect(fromFile.length).toBeGreaterThan(15);
  for (const { name, from } of fromFile) {
    const line = lines[Number(from.slice(file.length + 1)) - 1] ?? "";
    expect(line).toStartWith(`${name.replace(/^.*\./, "")} = `);
  }
});

test("the table in the README is the schema's", () => {
  expect(readFileSync(join(root, "README.md"), "utf8")).toContain(`\n\n${settingsTable().join("\n")}\n\n`);
});

async function run(line: string): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  const { SNAPMILL_CONFIG: _, REDIS_URL: __, ...inherited } = childEnvironment({});
  const snapmill = `snapmill() { "${process.execPath}" "${join(root, "src/cli.ts")}" "$@"; }; `;
  const child = Bun.spawn(["bash", "-o", "pipefail", "-c", `${snapmill}${line}`], {
    cwd: directory,
    env: inherited,
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { exitCode: await child.exited, stdout: stdout.replaceAll(`${directory}/`, ""), stderr };
}

test("each command of docs/CONFIGURATION.md answers as it says there", async () => {
  const text = readFileSync(join(root, "docs/CONFIGURATION.md"), "utf8");
  saved(/^```toml\n(.*?)^```$/ms.exec(text)?.[1] ?? "");
  const blocks = [...text.matchAll(/^```console\n(.*?)^```$/gms)].map(([, block = ""]) => block);
  const steps = blocks.join("").split(/^\$ /m).slice(1);
  expect(steps.length).toBeGreaterThan(3);
  for (const step of steps) {
    const [line = "", ...answer] = step.split("\n");
    expect(await run(line)).toEqual({ exitCode: 0, stdout: answer.join("\n"), stderr: "" });
  }
}, 60_000);

test("a check says every fault in a line of its own, and no password is shown", async () => {
  saved('redis-url = "redis://me:hunter2@host"\nsizes = "1GiB"\n[htpt]\n');
  const { exitCode, stderr } = await run("snapmill config check config.toml");
  expect(exitCode).toBe(1);
  expect(stderr.trimEnd().split("\n")).toEqual([
    `snapmill: ${directory}/config.toml:2: sizes: there is no such setting: did you mean size?`,
    `snapmill: ${directory}/config.toml:3: [htpt]: there is no such table: did you mean [http]?`,
  ]);
  saved('redis-url = "redis://me:hunter2@host"\n');
  const shown = await run(
    "snapmill --config config.toml config show; snapmill --config config.toml config show --json",
  );
  expect(shown.stdout).toContain("redis://host");
  expect(shown.stdout).not.toContain("hunter2");
  expect((await run("snapmill config default")).stdout).toBe(defaultFile());
}, 60_000);
