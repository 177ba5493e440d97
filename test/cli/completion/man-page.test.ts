// Room: test. Owns the man pages: rendered by mandoc without a warning, one for each command, with all of its options.
import { expect, test } from "bun:test";
import { manPages } from "../../../src/cli/completion/man-page.ts";
import { allNodes, commandTree, flagsOf } from "../../../src/cli/completion/tree.ts";
import { buildProgram } from "../../../src/cli/program.ts";

const release = { version: "0.0.0", date: "2026-11-29" };
const pages = manPages(await buildProgram("0.0.0"), release);
const nodes = allNodes(commandTree(await buildProgram("0.0.0")));

/** Bold, as a printer strikes it: a character, a step back, the character. */
const overstruck = new RegExp(`.${String.fromCharCode(8)}`, "g");

function rendered(text: string): { readonly text: string; readonly warnings: string } {
  const run = (...options: readonly string[]) => Bun.spawnSync(["mandoc", ...options], { stdin: Buffer.from(text) });
  const warnings = run("-Tlint", "-Wwarning").stdout.toString();
  return { text: run("-Tutf8", "-Owidth=200").stdout.toString().replaceAll(overstruck, ""), warnings };
}

test("each command has a page, under its name", () => {
  const names = nodes.map(({ path }) => `snapmill${path === "" ? "" : `-${path.replaceAll(" ", "-")}`}.1`);
  expect(pages.map(({ file }) => file).toSorted()).toEqual(names.toSorted());
});

test.each(pages.map(({ file, text }) => [file, text] as const))(
  "%s is rendered without a warning, and shows every option",
  (file, source) => {
    const { text, warnings } = rendered(source);
    expect(warnings).toBe("");
    const name = file.slice("snapmill".length, -2).slice(1);
    const node = nodes.find(({ path }) => path.replaceAll(" ", "-") === name);
    expect(node).toBeDefined();
    for (const flag of node === undefined ? [] : flagsOf(node)) expect(text).toContain(flag);
    for (const heading of ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS"]) expect(text).toContain(`\n${heading}\n`);
  },
);

test("what roff would read as its own is shown as it stands", async () => {
  const program = await buildProgram("0.0.0");
  program.addHelpText("after", "\n.SH not a heading\n'quoted' \\fBback\\fR");
  const [page] = manPages(program, release);
  expect(rendered(page?.text ?? "").text).toContain(".SH not a heading\n       'quoted' \\fBback\\fR");
});

test("pages lead to the one above and to those below", () => {
  const seeAlso = (file: string) =>
    rendered(pages.find((page) => page.file === file)?.text ?? "")
      .text.match(/\nSEE ALSO\n([\s\S]*?)\n\n/)?.[1]
      ?.trim();
  expect(seeAlso("snapmill.1")).toContain("snapmill-up(1), snapmill-status(1)");
  expect(seeAlso("snapmill-token.1")).toBe(
    "snapmill(1), snapmill-token-create(1), snapmill-token-ls(1), snapmill-token-revoke(1)",
  );
  expect(seeAlso("snapmill-token-ls.1")).toBe("snapmill-token(1)");
});
