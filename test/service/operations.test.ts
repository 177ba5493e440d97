// Owns the proof that every operation of the service can be parsed and described by an adapter.
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { z } from "zod";

const directory = join(import.meta.dir, "../../src/service");

interface Operation {
  readonly input: z.ZodType;
  readonly output: z.ZodType;
}

const isOperation = (value: unknown): value is Operation =>
  typeof value === "function" && "input" in value && "output" in value;

async function operations(): Promise<(readonly [string, Operation])[]> {
  const found: (readonly [string, Operation])[] = [];
  for (const path of [...new Bun.Glob("**/*.ts").scanSync(directory)].sort()) {
    const exported: Record<string, unknown> = await import(join(directory, path));
    for (const [name, value] of Object.entries(exported)) if (isOperation(value)) found.push([name, value]);
  }
  return found;
}

/** Identifiers and labels are parsed by functions of the domain: a document shows what goes into those. */
const describeOperation = ({ input, output }: Operation) =>
  [input, output].map((schema) => z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }));

const all = await operations();

describe("every operation of the service", () => {
  test("is found", () => {
    expect(all.map(([name]) => name)).toEqual(expect.arrayContaining(["images", "list", "prepare", "stat", "usage"]));
  });

  test.each(all)("%s: what it takes is an object, and what it answers can be described", (_name, operation) => {
    const [input, output] = describeOperation(operation);
    expect(input).toMatchObject({ type: "object" });
    expect(output).toHaveProperty("type");
  });
});
