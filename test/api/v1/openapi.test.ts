// Tests the API's document: it is valid, complete, consistent, and the one in docs/.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Validator } from "@seriousme/openapi-schema-validator";
import { z } from "zod";
import { type Endpoint, endpoints, eventsPath, fieldsOfPath } from "../../../src/api/http/v1/endpoints.ts";
import { jsonSchema, openApiDocument } from "../../../src/api/http/v1/openapi.ts";
import { atMost, branded, labels } from "../../../src/jobs/schemas.ts";
import { api, type OperationName } from "../../../src/service/api.ts";

interface Described {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly parameters: readonly { readonly in: string; readonly name: string; readonly $ref?: string }[];
  readonly requestBody?: { readonly content: Record<string, { readonly schema: object }> };
  readonly responses: Readonly<Record<string, { readonly $ref?: string; readonly content?: object }>>;
}
interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
  readonly components: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

const document = JSON.parse(JSON.stringify(await openApiDocument())) as Document;
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
);

const validate = (given: object) => new Validator().validate(structuredClone(given) as Record<string, unknown>);

test("it is valid OpenAPI 3.1, and what is not is found", async () => {
  expect(document.openapi).toBe("3.1.0");
  expect(await validate(document)).toMatchObject({ valid: true });
  expect(await validate({ ...document, info: { title: "no version" } })).toMatchObject({ valid: false });
}, 120_000);

test("docs/openapi.json is this document; otherwise run npm run openapi", () => {
  const kept = readFileSync(join(import.meta.dir, "../../../docs/openapi.json"), "utf8");
  expect(JSON.parse(kept)).toEqual(document);
});

test("it has every operation, at its endpoint, and nothing else but the events", () => {
  const expected = Object.entries(endpoints).map(([name, { method, path }]) => `${name} ${method} ${path}`);
  const found = operations.map(({ path, method, operation }) => `${operation.operationId} ${method} ${path}`);
  expect(found.sort()).toEqual([...expected, `watchOperation GET ${eventsPath}`].sort());
});

/** Everything in it that refers to something else in it. */
function references(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) =>
    name === "$ref" && typeof inner === "string" ? [inner] : references(inner),
  );
}

test("every reference leads to something, and every component is referred to", () => {
  const targets = Object.entries(document.components)
    .filter(([kind]) => kind !== "securitySchemes")
    .flatMap(([kind, named]) => Object.keys(named).map((name) => `#/components/${kind}/${name}`));
  expect([...new Set(references(document))].sort()).toEqual(targets.sort());
});

describe.each(operations)("$method $path", ({ path, operation }) => {
  test("says what it is for, and takes every field of its path", () => {
    expect(operation.summary).toMatch(/^[A-Z].{5,}[^.]$/);
    expect(operation.tags).toHaveLength(1);
    const inPath = operation.parameters.filter((one) => one.in === "path").map(({ name }) => name);
    expect(inPath).toEqual(fieldsOfPath(path));
  });

  test("lists its failures as problems", () => {
    const failures = Object.entries(operation.responses).filter(([status]) => Number(status) >= 400);
    expect(failures.map(([status]) => status)).toEqual(expect.arrayContaining(["400", "401", "403", "404", "500"]));
    for (const [status, { $ref }] of failures) expect($ref).toBe(`#/components/responses/Problem${status}`);
  });
});

test("what changes something takes an Idempotency-Key and Prefer, and may answer 202; what reads has an ETag", () => {
  for (const { operation } of operations.filter(({ path }) => path !== eventsPath)) {
    const { kind }: Endpoint = endpoints[operation.operationId as keyof typeof endpoints];
    const headers = operation.parameters.flatMap(({ $ref }) => $ref?.replace("#/components/parameters/", "") ?? []);
    const isChange = kind === "change" || kind === "long";
    expect(headers).toEqual(
      expect.arrayContaining(isChange ? ["IdempotencyKey", "Prefer", "Reason"] : ["IfNoneMatch"]),
    );
    expect(Object.keys(operation.responses).includes("202")).toBe(isChange);
    expect(Object.keys(operation.responses).includes("304")).toBe(!isChange);
  }
});

/** Places in a schema that admit anything, though nobody has said so. */
function holes(schema: unknown, at: string): string[] {
  if (typeof schema !== "object" || schema === null) return [];
  const inner = Object.entries(schema).flatMap(([name, value]) => {
    if (name !== "properties" || typeof value !== "object") return holes(value, `${at}.${name}`);
    return Object.entries(value as object).flatMap(([field, found]) =>
      Object.keys(found as object).length === 0 ? [`${at}.${field}`] : holes(found, `${at}.${field}`),
    );
  });
  return "items" in schema && Object.keys(schema.items as object).length === 0 ? [...inner, `${at}[]`] : inner;
}

/** What an operation was asked for, answers and tells on its way is another operation's shape. */
const ofOthers: Readonly<Partial<Record<OperationName, readonly string[]>>> = {
  listAudit: ["output.request"],
  getOperation: ["output.progress", "output.result"],
  cancelOperation: ["output.progress", "output.result"],
  explainOperation: ["output.progress", "output.result", "output.payload"],
};

test.each(Object.entries(api))(
  "%s: the shape of everything it takes and answers is told",
  (name, { input, output }) => {
    const found = [
      ...holes(jsonSchema(input as z.ZodType), "input"),
      ...holes(jsonSchema(output as z.ZodType), "output"),
    ];
    expect(found).toEqual([...(ofOthers[name as OperationName] ?? [])]);
  },
);

test("identifiers, labels and bounded lists are described as what goes into them", () => {
  const upper = branded((text) => text.toUpperCase());
  expect(jsonSchema(z.object({ a: upper, b: labels, c: atMost(2, z.object({ d: upper })) }))).toMatchObject({
    properties: {
      a: { type: "string" },
      b: { type: "object", additionalProperties: { type: "string" } },
      c: { type: "array", items: { type: "object", properties: { d: { type: "string" } } } },
    },
  });
});
