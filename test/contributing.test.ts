// Room: test. Owns the recipes of docs/CONTRIBUTING.md: a step that is forgotten, and that no compiler misses, fails here.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { basename, join } from "node:path";
import { Command } from "commander";
import { buildProgram } from "../src/cli/program.ts";
import { driverNames } from "../src/drivers/port.ts";
import { absoluteReference, formatReference, type ImageReference, parseReference } from "../src/images/reference.ts";
import type { JobName } from "../src/jobs/contract.ts";

// On a busy machine, linters and the loading of every module take many seconds.
setDefaultTimeout(120_000);

const root = join(import.meta.dir, "..");
const filesOf = (pattern: string): string[] => [...new Bun.Glob(pattern).scanSync(root)];
const program = await buildProgram("0.0.0");
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
  /** The command that has each job done; null: it is sent only as a part of other operations. */
  const commands = {
    prepare: "prepare",
    view: "view",
    commit: "commit",
    checkpoint: "checkpoint",
    "commit-copies": null,
    remove: "rm",
    update: "label",
    "remove-device": null,
    "retry-removals": "removals retry",
    "discard-removals": "removals discard",
    "hold-queue": "queues pause",
    "release-queue": "queues resume",
    probe: null,
    cleanup: "cleanup",
    doctor: "doctor",
    "grow-pool": "pool grow",
    "reset-pool": "pool reset",
    "accept-unpack": null,
    "settle-unpack": null,
    "remove-images": "images rm",
    "pin-images": "images pin",
    "submit-batch": "batch submit",
    "cancel-batch": "batch cancel",
    "retry-batch": "batch retry",
    "remove-batch": "batch rm",
    "read-batch": "batch show",
    "begin-unpack": null,
    "note-attempt": null,
    unpack: "unpack",
    resolve: null,
  } satisfies Readonly<Record<JobName, string | null>>;
  const leaves = (command: Command, path: readonly string[]): string[] =>
    command.commands.length === 0
      ? [path.join(" ")]
      : command.commands.flatMap((each) => leaves(each, [...path, each.name()]));
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
    const asked = Object.entries(commands).flatMap(([name, command]) => (command === null ? [] : asFunction(name)));
    expect(asked.filter((name) => !offered.includes(name))).toEqual([]);
  });

  test("that is a job has a command", () => {
    const wanted = Object.values(commands).filter((command) => command !== null);
    expect(wanted.filter((command) => !leaves(program, []).includes(command))).toEqual([]);
  });

  test("that is a command is listed in the program", async () => {
    for (const path of filesOf("src/cli/commands/*.ts")) {
      const exported: object = await import(join(root, path));
      for (const [name, add] of Object.entries(exported)) {
        if (!/^add[A-Z]/.test(name)) continue;
        const alone = new Command();
        add(alone);
        const missing = leaves(alone, []).filter(
          (own) => !leaves(program, [""]).some((leaf) => leaf.endsWith(` ${own}`)),
        );
        expect(missing, `${name} of ${path}`).toEqual([]);
      }
    }
  });

  test("that is a command is in the documents", () => {
    const found = leaves(program, ["snapmill"]);
    expect(found).toContain("snapmill pool create");
    expect(found.filter((command) => !isDescribed(new RegExp(`${command}(?![-\\w])`)))).toEqual([]);
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
  /** As a caller in /images writes it, and in full. */
  const examples = {
    docker: ["app:v1", "docker://docker.io/library/app:v1"],
    oci: ["oci:app:v1", "oci:/images/app:v1"],
    "oci-archive": ["oci-archive:app.tar:v1", "oci-archive:/images/app.tar:v1"],
    "docker-archive": ["docker-archive:app.tar:app:v1", "docker-archive:/images/app.tar:app:v1"],
  } satisfies Readonly<Record<ImageReference["transport"], readonly [given: string, inFull: string]>>;

  test.each(Object.entries(examples))(
    "%s is read and written, and made independent of a directory",
    (transport, example) => {
      const [given, inFull] = example;
      expect(parseReference(given).transport).toBe(transport as ImageReference["transport"]);
      expect(absoluteReference(given, "/images")).toBe(inFull);
      expect(formatReference(parseReference(inFull))).toBe(inFull);
    },
  );

  test.each(Object.keys(examples))(
    "%s is in the error of an unknown one, in --help and in docs/IMAGES.md",
    async (transport) => {
      const named = new RegExp(`(?<![-\\w])${transport}:[A-Z/]`);
      expect(() => parseReference("unheard-of://app")).toThrow(named);
      expect(helpOf("unpack")).toContain(`${transport}:`);
      expect(named.test(await Bun.file(join(root, "docs/IMAGES.md")).text())).toBe(true);
    },
  );
});
