// Room: test. Owns that a command line loads its own command alone, and that this one is the same as in the whole tree.
import { expect, test } from "bun:test";
import { buildProgram } from "../../src/cli/program.ts";

const whole = await buildProgram("0.0.0");
const names = whole.commands.map((command) => command.name());
const help = (program: typeof whole, name: string) =>
  program.commands.find((command) => command.name() === name)?.helpInformation();

test.each(names)("%s is found by its name, with the help that the whole tree has", async (name) => {
  const own = await buildProgram("0.0.0", [name, "--option"]);
  expect(help(own, name)).toBe(help(whole, name));
  expect(own.commands.length < names.length).toBe(name !== "completion");
});

test.each([[[]], [["--help"]], [["--pool", "unpack", "status"]], [["unpak"]]])(
  "what does not begin with a command's name has all of them: %p",
  async (args) => {
    expect((await buildProgram("0.0.0", args)).helpInformation()).toBe(whole.helpInformation());
  },
);

test.each(["--version", "-V"])("%s needs none", async (flag) => {
  expect((await buildProgram("0.0.0", [flag])).commands).toEqual([]);
});
