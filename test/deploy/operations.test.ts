// Room: test. Owns the walk through docs/OPERATIONS.md: what can be run of it is run, in its order, and prints what it says.
import { expect, test } from "bun:test";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { childEnvironment } from "../../src/config.ts";
import { Place, type Up, urlIn } from "../supervisor/running-up.ts";
import { writeSmallImage } from "../support/small-image.ts";
import { until } from "../support/until.ts";

const root = join(import.meta.dir, "../..");

interface Step {
  readonly command: string;
  readonly output: string;
}

/** The commands of the section, each with what the document says that it prints. */
function stepsOf(text: string, section: string): readonly Step[] {
  const body = text.split(/^## /m).find((part) => part.startsWith(`${section}\n`)) ?? "";
  const steps = [...body.matchAll(/^```console\n(.*?)^```$/gms)].flatMap(([, block = ""]) =>
    block
      .split(/^# /m)
      .slice(1)
      .map((step) => {
        const [command = "", ...output] = step.split("\n");
        return { command, output: output.join("\n") };
      }),
  );
  expect(steps.length).toBeGreaterThan(3);
  return steps;
}

/** Without what differs from run to run: numbers, digests, times, the host, the width of columns. */
const shape = (text: string): string =>
  text
    .replaceAll(/ on \S+ \(/g, " on HOST (")
    .replaceAll(/sha256:[0-9a-f]+/g, "sha256:0")
    .replaceAll(/\d[\d.:-]*/g, "0")
    .replaceAll(/ +/g, " ")
    .trim();

test("watching, draining, backing up and restoring go as docs/OPERATIONS.md says", async () => {
  const text = await Bun.file(join(root, "docs/OPERATIONS.md")).text();
  using place = new Place({ SNAPMILL_CONFIG: "" });
  const images = join(place.directory, "images");
  await writeSmallImage(images);
  const bin = join(place.directory, "bin");
  mkdirSync(bin);
  symlinkSync(join(root, "snapmill"), join(bin, "snapmill"));
  let up: Up | undefined;
  let address = "";
  const start = async () => {
    up = place.up();
    address = urlIn(await up.ready());
  };
  const places = (): readonly (readonly [string, string])[] => [
    ["/var/backups", join(place.directory, "backups")],
    ["/var/lib/snapmill", place.config.stateDir],
    ["/srv/images", images],
    ["http://127.0.0.1:7070", address],
  ];
  const here = (given: string) => places().reduce((line, [from, to]) => line.replaceAll(from, to), given);
  const there = (given: string) => places().reduce((line, [from, to]) => line.replaceAll(to, from), given);
  const environment = { ...childEnvironment({}), ...place.settings };
  const run = async (command: string): Promise<string> => {
    if (command === "systemctl start snapmill") return await start().then(() => "");
    if (command === "systemctl stop snapmill") return expect(await up?.end("SIGTERM")).toBe(0) ?? "";
    const child = Bun.spawn(["bash", "-euc", here(command)], {
      env: { ...environment, PATH: `${bin}:${environment["PATH"] ?? ""}` },
      stdout: "pipe",
      stderr: "pipe",
    });
    const [printed, said] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    expect([command, await child.exited, said]).toEqual([command, 0, ""]);
    return there(printed);
  };

  // Before the place is taken down, also when a step has failed.
  await using _end = {
    [Symbol.asyncDispose]: async () => {
      await up?.end("SIGTERM");
    },
  };
  await start();
  await place.run("unpack", `oci:${images}:test`);
  for (const section of ["Watch", "Drain", "Back up", "Restore"]) {
    for (const { command, output } of stepsOf(text, section)) {
      const said = `# ${command}\n${shape(output)}`;
      let found = `# ${command}\n${shape(await run(command))}`;
      // What /readyz says may be a second old: whoever asks right after a command asks once more.
      if (command.endsWith("/readyz") && found !== said) {
        found = await until(
          "it answers as the page says",
          async () => `# ${command}\n${shape(await run(command))}`,
          (each) => each === said,
        );
      }
      expect(found).toBe(said);
    }
  }
  expect(await up?.end("SIGTERM")).toBe(0);
  expect(place.residue()).toEqual([]);
}, 300_000);
