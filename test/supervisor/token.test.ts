import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readOrMakeToken } from "../../src/supervisor/token.ts";

let directory = "";
let path = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "snapmill-token-"));
  path = join(directory, "http-token");
});
afterEach(() => rmSync(directory, { recursive: true }));

test("a token is made once, unguessable, and only its owner can read it", () => {
  const token = readOrMakeToken(path);
  expect(token).toMatch(/^[A-Za-z0-9_-]{32}$/);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readOrMakeToken(path)).toBe(token);
  rmSync(path);
  expect(readOrMakeToken(path)).not.toBe(token);
});

test("a token that others can read is refused", () => {
  readOrMakeToken(path);
  chmodSync(path, 0o640);
  expect(() => readOrMakeToken(path)).toThrow("can be read by others");
});

test("a token of the user's own is taken, unless it is too short", () => {
  writeFileSync(path, "a-token-of-my-own-choice\n", { mode: 0o600 });
  expect(readOrMakeToken(path)).toBe("a-token-of-my-own-choice");
  writeFileSync(path, "short\n");
  expect(() => readOrMakeToken(path)).toThrow("too short");
});

test("a link in the token's place is not followed", () => {
  writeFileSync(join(directory, "elsewhere"), "", { mode: 0o600 });
  symlinkSync(join(directory, "elsewhere"), path);
  expect(() => readOrMakeToken(path)).toThrow("is not a regular file");
});

test("a FIFO in the token's place is refused: opening it would block forever", () => {
  expect(Bun.spawnSync(["mkfifo", "-m", "600", path]).exitCode).toBe(0);
  expect(() => readOrMakeToken(path)).toThrow("is not a regular file");
});

test("what is no single word is no token; an empty file gets one", () => {
  writeFileSync(path, "several words that are no token\n", { mode: 0o600 });
  expect(() => readOrMakeToken(path)).toThrow("does not hold a token");
  writeFileSync(path, "x".repeat(2000));
  expect(() => readOrMakeToken(path)).toThrow("does not hold a token");
  writeFileSync(path, "");
  expect(readOrMakeToken(path)).toMatch(/^[A-Za-z0-9_-]{32}$/);
});

test("whatever the umask, a new token is for its owner alone", () => {
  const umask = process.umask(0);
  try {
    readOrMakeToken(path);
  } finally {
    process.umask(umask);
  }
  expect(statSync(path).mode & 0o7777).toBe(0o600);
  expect(readdirSync(directory)).toEqual(["http-token"]);
});
