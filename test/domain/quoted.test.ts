import { expect, test } from "bun:test";
import { quoted } from "../../src/domain/quoted.ts";

test("text of others is shown in quotes, and cut", () => {
  expect(quoted('say "hi"')).toBe('"say \\"hi\\""');
  expect(quoted("x".repeat(200))).toBe(`"${"x".repeat(128)}"... (200 characters)`);
});

test("characters that a terminal acts on are shown escaped", () => {
  // ESC, the one-byte CSI, a right-to-left override, a line separator, a tag character.
  expect(quoted("\u001b[2J\u009b2J\u202e\u2028\u{e0041}é層")).toBe('"\\u001b[2J\\u009b2J\\u202e\\u2028\\u{e0041}é層"');
});
