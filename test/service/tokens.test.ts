import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { paths } from "../../src/config.ts";
import { tokenName } from "../../src/domain/callers.ts";
import { TokenBook } from "../../src/service/token-book.ts";
import { maxTokens, readTokenFile, writeTokenFile } from "../../src/service/token-file.ts";
import { createToken, listTokens, revokeToken } from "../../src/service/tokens.ts";
import { readOrMakeToken, readToken } from "../../src/supervisor/token.ts";
import { TestSnapmill } from "../support/test-snapmill.ts";

let snapmill: TestSnapmill;
let book: TokenBook;
let troubles: string[] = [];
const said: string[] = [];
const hour = 3_600_000;

beforeEach(() => {
  snapmill = new TestSnapmill();
  troubles = [];
  const places = { tokens: paths.tokens(snapmill.config), httpToken: paths.httpToken(snapmill.config) };
  book = new TokenBook(places, (sentence) => troubles.push(sentence));
});
afterEach(() => snapmill[Symbol.dispose]());

const make = async (name: string, role: "read" | "operate" = "read", expiresInMs?: number) =>
  await createToken(snapmill.config, { name, role, expiresInMs }, (sentence) => said.push(sentence));
const callerOf = (token: string) => book.admit(token)?.caller;

test("a token is recognised by its hash, which is all that is kept, in a file of its owner's alone", async () => {
  const { token } = await make("monitoring");
  expect(token).toMatch(/^snapmill_[A-Za-z0-9_-]{43}$/);
  expect(callerOf(token)).toEqual({ tokenName: "monitoring", role: "read" });
  const path = paths.tokens(snapmill.config);
  expect(statSync(path).mode & 0o7777).toBe(0o600);
  expect(readFileSync(path, "utf8")).not.toContain(token.slice("snapmill_".length));
  expect(readdirSync(snapmill.config.stateDir)).toEqual(["tokens.json"]);
});

test.each(["", "snapmill_", "x".repeat(2000), "undefined"])("%p is no token", async (token) => {
  await make("monitoring");
  expect(book.admit(token)).toBeUndefined();
});

test("no part of a token is one, nor one with more at its end", async () => {
  const { token } = await make("monitoring");
  for (const other of [token.slice(0, -1), `${token}x`, token.toUpperCase(), `${token}\n`, token.slice(9)]) {
    expect(book.admit(other)).toBeUndefined();
  }
});

test("several tokens of each role are told apart, and a name is used once", async () => {
  const made = [await make("a"), await make("b"), await make("c", "operate"), await make("d", "operate")];
  expect(made.map(({ token }) => callerOf(token)?.tokenName)).toEqual(["a", "b", "c", "d"]);
  expect(made.map(({ token }) => callerOf(token)?.role)).toEqual(["read", "read", "operate", "operate"]);
  expect(make("a")).rejects.toThrow("there is a token named a");
});

test("a token that is revoked is refused with the next request, also by a request that lasts", async () => {
  const { token } = await make("ci");
  const { token: other } = await make("other");
  const admission = book.admit(token);
  expect(admission?.holds()).toBe(true);
  expect(await revokeToken(snapmill.config, "ci")).toBe("revoked");
  expect(admission?.holds()).toBe(false);
  expect(book.admit(token)).toBeUndefined();
  expect(callerOf(other)?.tokenName).toBe("other");
  expect(revokeToken(snapmill.config, "ci")).rejects.toThrow("there is no token named ci");
});

test("a token expires by itself, and is shown as expired", async () => {
  const { token } = await make("brief", "read", hour);
  expect(callerOf(token)?.tokenName).toBe("brief");
  const admission = book.admit(token);
  const kept = readTokenFile(paths.tokens(snapmill.config));
  writeTokenFile(
    paths.tokens(snapmill.config),
    kept.map((each) => ({ ...each, expiresAtMs: Date.now() - 1 })),
  );
  expect(book.admit(token)).toBeUndefined();
  expect(admission?.holds()).toBe(false);
  expect(listTokens(snapmill.config)).toMatchObject([{ name: "brief", isExpired: true }]);
});

test("the dashboard's token is one of role operate; revoked, it is replaced in the same file", async () => {
  const path = paths.httpToken(snapmill.config);
  const first = readOrMakeToken(path);
  expect(callerOf(first)).toEqual({ tokenName: "dashboard", role: "operate" });
  expect(listTokens(snapmill.config)).toMatchObject([{ name: "dashboard", role: "operate", createdAtMs: null }]);
  expect(await revokeToken(snapmill.config, "dashboard")).toBe("replaced");
  expect(callerOf(first)).toBeUndefined();
  expect(callerOf(readToken(path) ?? "")?.tokenName).toBe("dashboard");
});

test.each<[string, () => void]>([
  ["damaged", () => writeFileSync(paths.tokens(snapmill.config), "{")],
  ["of another shape", () => writeFileSync(paths.tokens(snapmill.config), '{"version":1,"tokens":[{"name":"x"}]}')],
  ["readable by others", () => chmodSync(paths.tokens(snapmill.config), 0o644)],
])("of a file that is %s no token is accepted; the dashboard's still is", async (_what, spoil) => {
  const own = readOrMakeToken(paths.httpToken(snapmill.config));
  const { token } = await make("ci");
  spoil();
  expect(book.admit(token)).toBeUndefined();
  expect(callerOf(own)?.tokenName).toBe("dashboard");
  expect(troubles).toHaveLength(1);
  expect(troubles[0]).toContain(paths.tokens(snapmill.config));
  expect(make("more")).rejects.toThrow(paths.tokens(snapmill.config));
});

test("tokens that are made at the same time are all kept, up to 256", async () => {
  const made = await Promise.all(Array.from({ length: 8 }, (_, index) => make(`t${index}`)));
  expect(made.map(({ token }) => callerOf(token)?.tokenName)).toEqual(made.map(({ name }) => name));
  const [kept] = readTokenFile(paths.tokens(snapmill.config));
  if (kept === undefined) throw new Error("no token is kept");
  const many = Array.from({ length: maxTokens }, (_, index) => ({ ...kept, name: `n${index}` }));
  writeTokenFile(paths.tokens(snapmill.config), many);
  expect(make("one-more")).rejects.toThrow("there are 256 tokens");
});

test.each(["", "-a", "a b", "a/b", "a".repeat(65), "é", "dashboard", "socket"])(
  "%p cannot be a token's name",
  (name) => {
    expect(() => tokenName(name)).toThrow("token name");
  },
);

test("a state directory that is open to others is closed before a token is made", async () => {
  rmSync(snapmill.config.stateDir, { recursive: true });
  await make("first");
  expect(statSync(snapmill.config.stateDir).mode & 0o777).toBe(0o700);
  chmodSync(snapmill.config.stateDir, 0o755);
  await make("second");
  expect(statSync(snapmill.config.stateDir).mode & 0o777).toBe(0o700);
  expect(said.join("\n")).toContain("was open to other users");
  expect(listTokens(snapmill.config).map(({ name }) => name)).toEqual(["first", "second"]);
  expect(statSync(join(snapmill.config.stateDir, "tokens.json")).mode & 0o777).toBe(0o600);
});
