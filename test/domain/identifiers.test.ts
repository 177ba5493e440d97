import { describe, expect, test } from "bun:test";
import {
  chainId,
  childChainId,
  deviceId,
  diffId,
  freshOperationId,
  operationId,
  poolName,
  scope,
  snapshotKey,
} from "../../src/domain/identifiers.ts";

const hex = (digit: string) => `sha256:${digit.repeat(64)}`;

describe("identifiers are parsed at the door", () => {
  test.each([
    ["pool name", () => poolName("../etc")],
    ["pool name", () => poolName("a:b")],
    ["pool name", () => poolName("Default")],
    ["pool name", () => poolName("a".repeat(49))],
    ["scope", () => scope("")],
    ["scope", () => scope("a b")],
    ["operation ID", () => operationId("12345678")],
    ["operation ID", () => operationId("op:12345678")],
    ["diff ID", () => diffId("md5:00")],
    ["device ID", () => deviceId(2 ** 24)],
    ["device ID", () => deviceId(-1)],
    ["key", () => snapshotKey("")],
    ["key", () => snapshotKey("a\0b")],
    ["key", () => snapshotKey("ü".repeat(513))],
  ])("a bad one is refused by what it is (%s)", (what, parse) => {
    expect(parse).toThrow(what);
  });

  test("keys with slashes, spaces and any UTF-8 are taken as they are", () => {
    expect(String(snapshotKey("default/7/extract-1 sha256:ü"))).toBe("default/7/extract-1 sha256:ü");
  });

  test("fresh operation IDs are valid and differ", () => {
    expect(freshOperationId()).not.toBe(freshOperationId());
  });
});

describe("chain IDs", () => {
  test("the lowest layer's is its diff ID", () => {
    expect(childChainId(undefined, diffId(hex("a")))).toBe(chainId(hex("a")));
  });

  test("a higher one's is the digest of parent and layer, as the image specification defines it", () => {
    // printf 'sha256:aaa… sha256:bbb…' | sha256sum, with 64 letters each
    expect(childChainId(chainId(hex("a")), diffId(hex("b")))).toBe(
      chainId("sha256:ccd722928bd92476ba1745586fed6e45a102504185ad88cd89e01ff116fd146c"),
    );
  });
});
