// Room: test. Owns the recipes of docs/CONTRIBUTING.md: a step that is forgotten, and that no compiler misses, fails here.
import { describe, expect, test } from "bun:test";
import { basename, join } from "node:path";
import type { Command } from "commander";
import { buildProgram } from "../src/cli/program.ts";
import { driverNames } from "../src/drivers/port.ts";
import { formatReference, type ImageReference, parseReference } from "../src/images/reference.ts";
import { type JobName, jobs } from "../src/jobs/contract.ts";

const root = join(import.meta.dir, "..");
const filesOf = (pattern: string): string[] => [...new Bun.Glob(pattern).scanSync(root)];
const program = buildProgram("0.0.0");
const documents = (
  await Promise.all(["README.md", ...filesOf("docs/*.md")].map((path) => Bun.file(join(root, path)).text()))
).join("\n");

/** Not by `toMatch`: a failure would show all documents. */
const isDescribed = (pattern: RegExp): boolean => pattern.test(documents);

function helpOf(name: string): string {
  let text = "";
  const command = program.commands.find((each) => each.name() === name);
  command?.configureOutput({ writeOut: (part) => (text += part) }).outputHelp();
  return text.replaceAll(/\s+/g, " ");
}

describe("an operation", () => {
  /** Jobs that snapmill's own processes send to one another. */
  const internal: readonly JobName[] = [
    "remove-device",
    "probe",
    "accept-unpack",
    "begin-unpack",
    "note-attempt",
    "resolve",
    "settle-unpack",
  ];
  const asFunction = (name: string): string => name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

  test("takes the diff that docs/ARCHITECTURE.md shows, which still applies", async () => {
    const text = await Bun.file(join(root, "docs/ARCHITECTURE.md")).text();
    const diff = /^```diff\n(.*?\n)```$/ms.exec(text)?.[1] ?? "";
    expect(diff).toContain("+++ b/src/jobs/contract.ts");
    const check = Bun.spawnSync(["git", "apply", "--check", "-C1", "-"], { cwd: root, stdin: Buffer.from(diff) });
    expect(check.stderr.toString()).toBe("");
    expect(check.exitCode).toBe(0);
  });

  test("that is a job is offered by the service, as a function of its name", async () => {
    const modules = await Promise.all(
      filesOf("src/service/*.ts").map((path): Promise<object> => import(join(root, path))),
    );
    const offered = modules.flatMap((each) => Object.keys(each));
    const asked = Object.keys(jobs).filter((name) => !internal.some((own) => own === name));
    expect(asked.length).toBeGreaterThan(8);
    expect(asked.map(asFunction).filter((name) => !offered.includes(name))).toEqual([]);
  });

  test("that is a command is in the documents", () => {
    const leaves = (command: Command, path: readonly string[]): string[] =>
      command.commands.length === 0
        ? [path.join(" ")]
        : command.commands.flatMap((each) => leaves(each, [...path, each.name()]));
    const commands = leaves(program, ["snapmill"]);
    expect(commands).toContain("snapmill pool create");
    expect(commands.filter((command) => !documents.includes(command))).toEqual([]);
  });
});

describe("a driver", () => {
  test.each(driverNames)("%s has both suites of conformance", (name) => {
    for (const folder of ["drivers", "snapshotter"]) {
      const suites = filesOf(`test/${folder}/${name}*.test.ts`).map((path) => basename(path).split(".")[0]);
      expect(suites, `test/${folder}/${name}.test.ts, or .dm.test.ts`).toContain(name);
    }
  });

  test.each(driverNames)("%s can be chosen, and is in the documents", (name) => {
    expect(helpOf("up")).toContain(name);
    expect(isDescribed(new RegExp(`--driver ${name}\\b|\`${name}\``))).toBe(true);
  });
});

describe("a source of images", () => {
  const examples = {
    docker: "docker://registry.example/app:v1",
    oci: "oci:/images/app:v1",
    "oci-archive": "oci-archive:/images/app.tar:v1",
    "docker-archive": "docker-archive:/images/app.tar:app:v1",
  } satisfies Readonly<Record<ImageReference["transport"], string>>;

  test.each(Object.entries(examples))("%s is read and written, shown by --help, and described", (transport, text) => {
    const reference = parseReference(text);
    expect(reference.transport).toBe(transport as ImageReference["transport"]);
    expect(formatReference(reference)).toStartWith(`${transport}:`);
    expect(helpOf("unpack")).toContain(`${transport}:`);
    expect(isDescribed(new RegExp(`[\`| ]${transport}:[A-Z/]`))).toBe(true);
  });
});
