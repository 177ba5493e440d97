import { expect, test } from "bun:test";
import { arch } from "node:os";
import {
  formatPlatform,
  hostPlatform,
  nearestPlatform,
  normalizePlatform,
  parsePlatform,
  platformDistance,
} from "../../src/images/platform.ts";

test.each([
  ["linux/amd64", "linux/amd64"],
  ["linux/amd64/v1", "linux/amd64"],
  ["linux/amd64/v3", "linux/amd64/v3"],
  ["linux/x86_64", "linux/amd64"],
  ["Linux/AARCH64", "linux/arm64/v8"],
  ["linux/arm64", "linux/arm64/v8"],
  ["linux/arm64/8", "linux/arm64/v8"],
  ["linux/arm", "linux/arm/v7"],
  ["linux/arm/6", "linux/arm/v6"],
  ["linux/armhf", "linux/arm/v7"],
  ["linux/armel", "linux/arm/v6"],
  ["linux/i386", "linux/386"],
  ["linux/s390x", "linux/s390x"],
])("the platform %s is %s", (text, normalized) => {
  expect(formatPlatform(parsePlatform(text))).toBe(normalized);
});

test.each(["", "linux", "linux/", "/amd64", "linux/amd64/v1/x", "linux/am d64"])("%j is no platform", (text) => {
  expect(() => parsePlatform(text)).toThrow(
    /is not valid: use os\/architecture\[\/variant\], for example linux\/amd64/,
  );
});

test("this machine's platform is linux on its own architecture", () => {
  const names: Readonly<Record<string, string>> = { x64: "linux/amd64", arm64: "linux/arm64/v8" };
  expect(formatPlatform(hostPlatform())).toBe(names[arch()] ?? `linux/${arch()}`);
});

const nearest = (wanted: string, offered: readonly string[]): string | undefined =>
  nearestPlatform(parsePlatform(wanted), offered, parsePlatform);

test("of several images the nearest one that runs is chosen", () => {
  expect(nearest("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6", "linux/amd64"])).toBe("linux/arm/v6");
  expect(nearest("linux/arm/v7", ["linux/arm/v6", "linux/arm/v7"])).toBe("linux/arm/v7");
  expect(nearest("linux/arm/v6", ["linux/arm/v7"])).toBeUndefined();
  expect(nearest("linux/amd64/v3", ["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"])).toBe("linux/amd64/v2");
  expect(nearest("linux/amd64", ["linux/amd64/v2"])).toBeUndefined();
  expect(nearest("linux/arm64/v8.2", ["linux/arm64", "linux/arm64/v8.1"])).toBe("linux/arm64/v8.1");
});

test("another architecture or system is never chosen", () => {
  expect(nearest("linux/amd64", ["linux/386", "windows/amd64", "linux/arm64"])).toBeUndefined();
  expect(nearest("linux/arm64", ["linux/arm/v7"])).toBeUndefined();
});

test("of equally near images the first is chosen", () => {
  const candidates = [
    { name: "first", platform: parsePlatform("linux/amd64") },
    { name: "second", platform: parsePlatform("linux/amd64/v1") },
  ];
  expect(nearestPlatform(parsePlatform("linux/amd64"), candidates, ({ platform }) => platform)?.name).toBe("first");
});

test("variants that are not numbered match only themselves", () => {
  const odd = normalizePlatform("linux", "mips64le", "softfloat");
  expect(platformDistance(odd, odd)).toBe(0);
  expect(platformDistance(odd, normalizePlatform("linux", "mips64le", "hardfloat"))).toBeUndefined();
});
