import { describe, expect, test } from "bun:test";
import { devicePath, escapeName, unescapeName } from "../../../../src/drivers/devicemapper/control/names.ts";

describe("a device's name", () => {
  // As `dmsetup create` wrote them to /dev/mapper, libdevmapper 1.02.185.
  test.each([
    ["pool-snap-17", "pool-snap-17"],
    ["#+-.:=@_", "#+-.:=@_"],
    ["-x", "-x"],
    ["a b", "a\\x20b"],
    ["h2 odd*näme", "h2\\x20odd\\x2an\\xc3\\xa4me"],
    ["a\\x20b", "a\\x5cx20b"],
    ["line\nbreak", "line\\x0abreak"],
  ])("%j is escaped as %s, and back", (name, escaped) => {
    expect(escapeName(name)).toBe(escaped);
    expect(unescapeName(escaped)).toBe(name);
    expect(devicePath(name)).toBe(`/dev/mapper/${escaped}`);
  });

  test.each(["", ".", "..", "a/b", "/", "a\0b"])("%j is refused", (name) => {
    expect(() => escapeName(name)).toThrow("cannot name a device");
  });

  test("may be 127 bytes long when escaped, not 128", () => {
    expect(escapeName("a".repeat(127))).toBe("a".repeat(127));
    expect(() => escapeName("a".repeat(128))).toThrow("longer than 127 bytes");
    expect(() => escapeName(" ".repeat(32))).toThrow("longer than 127 bytes");
  });

  test("that another program did not escape is kept as it is", () => {
    expect(unescapeName("strange name \\x")).toBe("strange name \\x");
  });
});
