// Tests the types that the package declares: those of the client, in full, with every operation.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as client from "../../src/client/client.ts";
import type * as declared from "../../src/client/generated/snapmill.d.ts";

const path = join(import.meta.dir, "../../src/client/generated/snapmill.d.ts");

/** The compiler compares them: what is declared is what the client takes, and what it answers. */
const connect: typeof declared.connect = client.connect;
const asDeclared = (error: client.ApiError): declared.ApiError => error;
type Missing = Exclude<keyof client.ApiError, keyof declared.ApiError>;
const missing: readonly Missing[] = [];

/** The names of an interface's fields. */
function fieldsOf(name: string): string[] {
  const text =
    new RegExp(`^export interface ${name} \\{\\n(.*?)^\\}`, "ms").exec(readFileSync(path, "utf8"))?.[1] ?? "";
  return [...text.matchAll(/^ {2}readonly (\w+): /gm)].map(([, field = ""]) => field);
}

test("every operation is declared, on a pool or on the host", () => {
  const { pool, ...host } = connect({ host: "http://127.0.0.1:1" });
  expect(fieldsOf("PoolClient")).toEqual(expect.arrayContaining(Object.keys(pool("default"))));
  expect(fieldsOf("HostClient")).toEqual(expect.arrayContaining(Object.keys(host)));
  expect(fieldsOf("HostClient")).toContain("getOperation");
});

test("they need nothing else: no package, no file, no compiler option", () => {
  expect(readFileSync(path, "utf8")).not.toMatch(/\b(import|require|reference)\b[ (]/);
});

test("an error has all that is declared", () => {
  const error = asDeclared(new client.ApiError("not_found", "there is none"));
  expect([error.code, error.message, missing]).toEqual(["not_found", "there is none", []]);
});
