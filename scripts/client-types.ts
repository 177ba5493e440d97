// Room: scripts. Owns the client's types in full, as text: a program that uses the package compiles nothing of snapmill.
import { join } from "node:path";
import { type Endpoint, endpoints } from "../src/api/http/v1/endpoints.ts";
import { jsonSchema } from "../src/api/http/v1/openapi.ts";
import { errorCodes } from "../src/domain/errors.ts";
import { unpackProgress } from "../src/jobs/contract.ts";
import { hostOperations, type OperationName, poolOperations, runnable } from "../src/service/api.ts";

type Schema = ReturnType<typeof jsonSchema>;

const client = join(import.meta.dir, "../src/client");

/** What operations tell of themselves on their way. */
const progress: Partial<Record<OperationName, Schema>> = { unpack: jsonSchema(unpackProgress.shape.layers) };

const head = `// Made by 'npm run openapi' from src/client and the schemas of the operations.
`;

export async function clientTypes(): Promise<string> {
  const source = await Bun.file(join(client, "client.ts")).text();
  const failures = await Bun.file(join(client, "failures.ts")).text();
  const text = [
    head,
    `/** gRPC's names. */\nexport type ErrorCode = ${union(errorCodes.map((code) => JSON.stringify(code)))};\n`,
    declaration(failures, "interface ProblemDocument"),
    errorClass(failures),
    ...["ClientOptions", "ReadOptions", "ChangeOptions"].map((name) => declaration(source, `interface ${name}`)),
    calls("The operations on one pool.", "PoolClient", Object.keys(poolOperations) as OperationName[]),
    calls("The operations that are no single pool's.", "HostClient", Object.keys(hostOperations) as OperationName[]),
    declaration(source, "interface Client extends"),
    `${commentOf(source, "function connect(")}export declare function connect(options: ClientOptions): Client;\n`,
  ].join("\n");
  return await formatted(text);
}

async function formatted(text: string): Promise<string> {
  const program = join(import.meta.dir, "../node_modules/.bin/biome");
  const argv = [program, "format", "--colors=off", "--stdin-file-path=snapmill.d.ts"];
  const biome = Bun.spawn(argv, { stdin: Buffer.from(text), stdout: "pipe", stderr: "inherit" });
  const made = await new Response(biome.stdout).text();
  if ((await biome.exited) !== 0) throw new Error("biome cannot format the client's types: see above");
  return made;
}

/** As it stands in the source, with its comment. */
function declaration(source: string, named: string): string {
  const text = new RegExp(`^export ${named}[^{\\n]* \\{\\n.*?^\\}\\n`, "ms").exec(source)?.[0];
  if (text === undefined)
    throw new Error(`src/client has no 'export ${named}' any more: adapt scripts/client-types.ts`);
  return commentOf(source, named) + text;
}

function commentOf(source: string, named: string): string {
  const lines = source
    .slice(0, source.indexOf(`export ${named}`))
    .split("\n")
    .slice(0, -1);
  const begin = lines.findLastIndex((line) => line.startsWith("/**"));
  return lines.at(-1)?.endsWith("*/") === true ? `${lines.slice(begin).join("\n")}\n` : "";
}

/** Its fields as in the source; only the client makes one. */
function errorClass(source: string): string {
  const fields = /class ApiError extends SnapmillError \{\n(.*?)\n {2}constructor/ms.exec(source)?.[1];
  if (fields === undefined) throw new Error("src/client has no ApiError any more: adapt scripts/client-types.ts");
  const own = `  readonly code: ErrorCode;\n${fields}  private constructor();\n`;
  return `${commentOf(source, "class ApiError")}export declare class ApiError extends Error {\n${own}}\n`;
}

function calls(comment: string, name: string, operations: readonly OperationName[]): string {
  const lines = operations.map((operation) => `  /** ${endpoints[operation].summary}. */\n  ${call(operation)}\n`);
  return `/** ${comment} */\nexport interface ${name} {\n${lines.join("")}}\n`;
}

function call(name: OperationName): string {
  const { method, kind }: Endpoint = endpoints[name];
  const { input, output } = runnable(name);
  const { properties = {}, ...rest } = jsonSchema(input) as { readonly properties?: Record<string, Schema> };
  const { after: _cursor, ...given } = properties;
  const isList = kind === "list";
  const options = method === "GET" ? "ReadOptions" : `ChangeOptions${progressOf(name)}`;
  const answer = `${isList ? "AsyncIterable" : "Promise"}<${typeOf(jsonSchema(output))}>`;
  const taken = typeOf({ ...rest, properties: isList ? given : properties });
  return `readonly ${name}: (given: ${taken === "object" ? "Record<string, never>" : taken}, options?: ${options}) => ${answer};`;
}

function progressOf(name: OperationName): string {
  const told = progress[name];
  return told === undefined ? "" : `<${typeOf({ ...told, readOnly: true })}>`;
}

function typeOf(schema: Schema): string {
  const { enum: values, anyOf, oneOf, type, items, readOnly } = schema;
  if ("const" in schema) return JSON.stringify(schema["const"]);
  if (Array.isArray(values)) return union(values.map((value) => JSON.stringify(value)));
  const choices = anyOf ?? oneOf;
  if (Array.isArray(choices)) return union(choices.map(typeOf));
  if (Array.isArray(type)) return union(type.map((one: unknown) => typeOf({ ...schema, type: one })));
  switch (type) {
    case "integer":
      return "number";
    case "array":
      return `${readOnly === true ? "readonly " : ""}(${typeOf((items ?? {}) as Schema)})[]`;
    case "object":
      return objectType(schema);
    case "string":
    case "number":
    case "boolean":
    case "null":
      return type;
    default:
      return "unknown";
  }
}

function objectType(schema: Schema): string {
  const { properties, required, additionalProperties, propertyNames } = schema;
  if (properties === undefined && typeof additionalProperties === "object") {
    const isPartial = typeof propertyNames === "object" && !Array.isArray(required);
    const record = `Record<${typeOf((propertyNames ?? { type: "string" }) as Schema)}, ${typeOf(additionalProperties as Schema)}>`;
    return isPartial && "enum" in (propertyNames as Schema) ? `Partial<${record}>` : record;
  }
  const needed = new Set(Array.isArray(required) ? required : []);
  const fields = Object.entries((properties ?? {}) as Record<string, Schema>).map(([field, of]) =>
    needed.has(field) ? `readonly ${field}: ${typeOf(of)};` : `readonly ${field}?: ${typeOf(of)} | undefined;`,
  );
  return fields.length === 0 ? "object" : `{ ${fields.join(" ")} }`;
}

const union = (types: readonly string[]): string => [...new Set(types)].join(" | ");
