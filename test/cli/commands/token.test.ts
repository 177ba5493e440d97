// `snapmill token`: what it prints, where, and what it refuses. No `up` runs.
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { paths } from "../../../src/config.ts";
import { CliFixture } from "../cli-fixture.ts";

setDefaultTimeout(120_000);

const fixture = new CliFixture();
afterAll(() => fixture[Symbol.asyncDispose]());

test("create prints the token alone to stdout, and never again", async () => {
  const { exitCode, stdout, stderr } = await fixture.run("token", "create", "monitoring", "--role", "read");
  expect({ exitCode, stderr }).toEqual({
    exitCode: 0,
    stderr: "snapmill: this is the token monitoring, role read; it is not shown again\n",
  });
  expect(stdout).toMatch(/^snapmill_[A-Za-z0-9_-]{43}\n$/);
  const listed = await fixture.stdout("token", "ls");
  expect(listed).toMatch(/^NAME +ROLE +CREATED +EXPIRES\nmonitoring +read +[-\d]+ [:\d]+ +never\n$/);
  expect(readFileSync(paths.tokens(fixture.snapmill.config), "utf8")).not.toContain(stdout.trim());
});

test("one that expires says so, in JSON as well", async () => {
  const made: unknown = JSON.parse(
    await fixture.stdout(..."token create ci --role operate --expires 90d --json".split(" ")),
  );
  expect(made).toMatchObject({ name: "ci", role: "operate", token: expect.stringMatching(/^snapmill_/) as unknown });
  const lines = (await fixture.stdout("token", "ls", "--json")).trim().split("\n");
  const ci: unknown = JSON.parse(lines[1] ?? "");
  expect(ci).toMatchObject({ name: "ci", isExpired: false });
  expect(Object.keys(ci as object).toSorted()).toEqual(["createdAtMs", "expiresAtMs", "isExpired", "name", "role"]);
});

test("revoke takes it away", async () => {
  expect(await fixture.stdout("token", "revoke", "ci")).toBe("revoked ci\n");
  expect(await fixture.failure(1, "token", "revoke", "ci")).toContain("there is no token named ci");
  expect(await fixture.stdout("token", "ls")).not.toContain("ci ");
});

test.each([
  [["create", "x"], "required option '--role <role>' not specified"],
  [["create", "x", "--role", "admin"], "--role"],
  [["create", "a b", "--role", "read"], "token name"],
  [["create", "dashboard", "--role", "read"], "snapmill's own"],
  [["create", "x", "--role", "read", "--expires", "soon"], "--expires: duration"],
])("%p is a usage error", async (args, words) => {
  expect(await fixture.failure(2, "token", ...args)).toContain(words);
});

test("a name that is taken is refused", async () => {
  expect(await fixture.failure(1, "token", "create", "monitoring", "--role", "read")).toContain("revoke monitoring");
});
