import { expect, test } from "bun:test";
import { arch } from "node:os";
import {
  formatPlatform,
  hostPlatform,
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

const distances = (wanted: string, offered: readonly string[]): (number | undefined)[] =>
  offered.map((platform) => platformDistance(parsePlatform(wanted), parsePlatform(platform)));

test("a machine runs its own variant and all lower ones, the nearest of them best", () => {
  expect(distances("linux/arm/v7", ["linux/arm/v7", "linux/arm/v6", "linux/arm/v5"])).toEqual([0, 1000, 2000]);
  expect(distances("linux/amd64/v3", ["linux/amd64/v2", "linux/amd64"])).toEqual([1000, 2000]);
  expect(distances("linux/arm64/v8.2", ["linux/arm64/v8.1", "linux/arm64"])).toEqual([1, 2]);
});

test("no machine runs a higher variant, another architecture or another system", () => {
  const none = [undefined, undefined, undefined];
  expect(distances("linux/arm/v6", ["linux/arm/v7", "linux/arm64", "windows/arm/v6"])).toEqual(none);
  expect(distances("linux/amd64", ["linux/amd64/v2", "linux/386", "windows/amd64"])).toEqual(none);
});

test("variants that are not numbered match only themselves", () => {
  const odd = normalizePlatform("linux", "mips64le", "softfloat");
  expect(platformDistance(odd, odd)).toBe(0);
  expect(platformDistance(odd, normalizePlatform("linux", "mips64le", "hardfloat"))).toBeUndefined();
});
