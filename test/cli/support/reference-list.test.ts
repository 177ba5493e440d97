import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { isListable, readReferences, referenceLine } from "../../../src/cli/support/reference-list.ts";
import { absoluteReference } from "../../../src/images/reference.ts";
import { temporaryDirectory } from "../../support/directories.ts";

async function referencesIn(list: string | Buffer): Promise<readonly string[]> {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "list");
  writeFileSync(path, list);
  return readReferences(path, (text) => absoluteReference(text, process.cwd()));
}

test.each([
  ["lines that end with CR LF", "# a comment\r\noci:/a:b  # another\r\n\r\noci:/c\t#\r\n"],
  ["a byte order mark", "\uFEFF# a comment\noci:/a:b\noci:/c"],
  [
    "comments of any bytes",
    Buffer.concat([Buffer.from("oci:/a:b # "), Buffer.from([0, 255, 13, 10]), Buffer.from("oci:/c")]),
  ],
  ["a separator of lines that is none here", "oci:/a:b # first\u2028second\noci:/c\noci:/a:b"],
])("a list may have %s", async (_what, list) => {
  expect(await referencesIn(list)).toEqual(["oci:/a:b", "oci:/c"]);
});

test("a long line of comment signs is read at once", async () => {
  expect(await referencesIn(`oci:/a${" #".repeat(2 ** 20)}\r\n`)).toEqual(["oci:/a"]);
});

test("an exported line gives its reference back, whatever its reason says", async () => {
  const reason = "first\nsecond # third\r\u2028 \u001b[31m fourth";
  const line = referenceLine("oci:/a b#c:d", reason);
  expect(line).toBe("oci:/a b#c:d  # first second # third \\u001b[31m fourth");
  expect(await referencesIn(line)).toEqual(["oci:/a b#c:d"]);
});

test.each(["oci:/a #b:c", "oci:/a\nb", "oci:/a\u001b[31m", "oci:/a "])(
  "a reference that a list cannot hold is exported as a comment: %j",
  async (reference) => {
    expect(isListable(reference)).toBe(false);
    const lines = [referenceLine(reference, "why"), "oci:/d"];
    expect(await referencesIn(lines.join("\n"))).toEqual(["oci:/d"]);
  },
);
