// Room: api. Owns the API's document (OpenAPI 3.1): what each route takes and answers, from operations and endpoints.
import { Hono } from "hono";
import { type DescribeRouteOptions, describeRoute, generateSpecs } from "hono-openapi";
import { z } from "zod";
import { type OperationName, runnable } from "../../../service/api.ts";
import { getOperation } from "../../../service/operation-state.ts";
import {
  type Endpoint,
  endpoints,
  eventsPath,
  fieldsOfPath,
  pageLimits,
  pathByQuery,
  placeOfField,
} from "./endpoints.ts";
import { type ProblemKind, problemKinds, problemType } from "./problems.ts";

type Parameter = NonNullable<DescribeRouteOptions["parameters"]>[number];
type Responses = NonNullable<DescribeRouteOptions["responses"]>;
interface Schema {
  readonly [field: string]: unknown;
}

/** What goes into a schema: identifiers are texts that functions of the domain parse. */
export function jsonSchema(schema: z.ZodType): Schema {
  const { $schema: _dialect, ...described } = z.toJSONSchema(schema, {
    io: "input",
    unrepresentable: "any",
    override: ({ zodSchema, jsonSchema: described }) => {
      const { def } = zodSchema._zod;
      // A list whose length is checked before its items is described by its items.
      if (def.type !== "pipe" || def.in._zod.def.type !== "array" || def.out._zod.def.type !== "array") return;
      Object.assign(described, { items: jsonSchema(def.out as z.ZodType)["items"] });
    },
  });
  return described;
}

const content = (schema: Schema) => ({ "application/json": { schema } });
const text = { type: "string" } as const;
const stateSchema = { $ref: "#/components/schemas/Operation" };

/** Describes a route; hono-openapi collects it. */
const described = (name: OperationName) => describeRoute(descriptionOf(name));

function descriptionOf(name: OperationName) {
  const endpoint: Endpoint = endpoints[name];
  const { input, output } = runnable(name);
  const { properties = {}, required = [] } = jsonSchema(input) as {
    readonly properties?: Readonly<Record<string, Schema>>;
    readonly required?: readonly string[];
  };
  const fields = Object.keys(properties).filter((field) => endpoint.kind !== "list" || field !== "after");
  const inQuery = fields.filter((field) => placeOfField(endpoint, field) === "query");
  const inBody = fields.filter((field) => placeOfField(endpoint, field) === "body");
  const parameters: Parameter[] = [
    ...fieldsOfPath(endpoint.path).map((field) =>
      describedKey(endpoint, parameter("path", field, properties[field] ?? text, true)),
    ),
    ...inQuery.map((field) => parameter("query", field, properties[field] ?? text, required.includes(field))),
    ...headersOf(endpoint),
  ];
  const body = {
    type: "object",
    properties: Object.fromEntries(inBody.map((field) => [field, properties[field]])),
    required: inBody.filter((field) => required.includes(field)),
    additionalProperties: false,
  };
  return {
    operationId: name,
    summary: endpoint.summary,
    description: `For tokens of the role \`${endpoint.role}\`.`,
    tags: [endpoint.tag],
    parameters,
    ...(inBody.length > 0 && { requestBody: { required: body.required.length > 0, content: content(body) } }),
    responses: { ...successes(endpoint, jsonSchema(output)), ...failures(endpoint) },
  };
}

const parameter = (place: "path" | "query" | "header", name: string, schema: Schema, required: boolean) =>
  ({ in: place, name, required, schema }) as Parameter;

/** Keys that no path can hold have another way. */
function describedKey(endpoint: Endpoint, field: Parameter): Parameter {
  const way = pathByQuery(endpoint);
  if (way === undefined || !("name" in field) || field.name !== "key") return field;
  const among = endpoint.method === "GET" ? "`.`, `..`, `usage` and `mounts` are" : "`.` and `..` are";
  return { ...field, description: `Percent-encoded. The keys ${among} asked for at \`${way}?key=KEY\`` };
}

const reference = (kind: "parameters" | "headers" | "responses", name: string) => ({
  $ref: `#/components/${kind}/${name}`,
});

function headersOf({ kind }: Endpoint): Parameter[] {
  const named = (...names: string[]) => names.map((name) => reference("parameters", name));
  if (kind === "read") return named("IfNoneMatch");
  if (kind === "list") return named("Limit", "Cursor", "IfNoneMatch");
  return named("IdempotencyKey", "Prefer", "Reason");
}

function successes({ kind }: Endpoint, output: Schema): Responses {
  const etag = { headers: { ETag: reference("headers", "ETag") } };
  const notModified = { "304": { description: "The caller has it already", ...etag } };
  if (kind === "read") return { "200": { description: "It", content: content(output), ...etag }, ...notModified };
  if (kind === "list") {
    const page = { type: "object", properties: { items: { type: "array", items: output }, next: nextLink } };
    return {
      "200": { description: "A page", content: content({ ...page, required: ["items", "next"] }), ...etag },
      ...notModified,
    };
  }
  const operationId = { "Operation-Id": reference("headers", "OperationId") };
  return {
    "200": { description: "It is done", content: content(output), headers: operationId },
    "202": {
      description: "It is under way",
      content: content(stateSchema),
      headers: { ...operationId, Location: reference("headers", "Location") },
    },
  };
}

const nextLink = { type: ["string", "null"], description: "The address of the next page; null: this is the last one" };

/** Those that any request can meet, and those of changes. */
function failures({ kind }: Pick<Endpoint, "kind">): Responses {
  const isChange = kind === "change" || kind === "long";
  const statuses = [400, 401, 403, 404, 421, 429, 431, 500, 503, ...(isChange ? [409, 413, 415, 422, 504, 507] : [])];
  return Object.fromEntries(
    statuses
      .sort((one, other) => one - other)
      .map((status) => [String(status), reference("responses", `Problem${status}`)]),
  );
}

const kinds = Object.keys(problemKinds) as ProblemKind[];

function problemResponses(): Responses {
  // Of the methods that are not in the document.
  const shown = kinds.filter((kind) => kind !== "method_not_allowed");
  const byStatus = Map.groupBy(shown, (kind) => problemKinds[kind].status);
  return Object.fromEntries(
    [...byStatus].map(([status, those]) => [
      `Problem${status}`,
      {
        description: those.map((kind) => `\`${problemType(kind)}\`: ${problemKinds[kind].title}`).join(". "),
        content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
      },
    ]),
  );
}

const problemSchema = {
  type: "object",
  properties: {
    type: { ...text, enum: kinds.map(problemType) },
    title: text,
    status: { type: "integer" },
    detail: text,
    code: { ...text, enum: [...new Set(kinds.map((kind) => problemKinds[kind].code))] },
    wayOut: text,
    operationId: text,
  },
  required: ["type", "title", "status", "detail", "code", "wayOut"],
};

const components = {
  securitySchemes: {
    bearer: { type: "http", scheme: "bearer", description: "A token of `snapmill token create`" },
  },
  schemas: { Problem: problemSchema, Operation: jsonSchema(getOperation.output) },
  responses: problemResponses(),
  parameters: {
    Limit: {
      ...parameter("query", "limit", { type: "integer", minimum: 1, maximum: pageLimits.most }, false),
      description: `Of a page; ${pageLimits.default} where it is left out`,
    },
    Cursor: { ...parameter("query", "cursor", text, false), description: "Of a `next` link; opaque" },
    IfNoneMatch: { ...parameter("header", "If-None-Match", text, false), description: "ETags that the caller has" },
    IdempotencyKey: {
      ...parameter("header", "Idempotency-Key", { ...text, minLength: 1, maxLength: 512 }, false),
      description:
        "Any text: with the same one and the same request there is one effect, and one answer, also after a restart, for a day",
    },
    Prefer: {
      ...parameter("header", "Prefer", text, false),
      description: "`wait=N`: seconds until the answer is 202, at most 60; `respond-async`: at once",
    },
    Reason: {
      ...parameter("header", "Snapmill-Reason", text, false),
      description: "Why, for the audit log; default: the request's own reason",
    },
  },
  headers: {
    ETag: { schema: text, description: "Of this content" },
    OperationId: { schema: text, description: "Of the operation: see /v1/operations/{operationId}" },
    Location: { schema: text, description: "Where the operation is" },
  },
};

/** The document, as /v1/openapi.json and docs/openapi.json have it. hono-openapi collects it from routes like the server's. */
export async function openApiDocument(): Promise<object> {
  const app = new Hono();
  for (const name of Object.keys(endpoints) as OperationName[]) {
    const { method, path } = endpoints[name];
    app.on(method, path.replace(/\{(\w+)\}/g, ":$1"), described(name), (context) => context.body(null));
  }
  app.get(eventsPath.replace(/\{(\w+)\}/g, ":$1"), describeRoute(eventsDescription), (context) => context.body(null));
  const info = {
    title: "snapmill",
    version: "1",
    description: [
      "Container snapshots as copy-on-write block devices. Every failure is a problem (RFC 9457), except what the HTTP",
      "server refuses before snapmill sees it, with a status alone: a request that is not HTTP (400, 505), and more than",
      "16 KiB or about 200 lines of headers (431).",
    ].join(" "),
    license: { name: "Apache-2.0", identifier: "Apache-2.0" },
  };
  const documentation = { openapi: "3.1.0", info, security: [{ bearer: [] }], components };
  return await generateSpecs(app, { documentation: documentation as never });
}

const eventsDescription = {
  operationId: "watchOperation",
  summary: "An operation's state whenever it changes, as server-sent events, until it has ended",
  description: "For tokens of the role `read`. Comments come while nothing happens.",
  tags: ["operations"],
  parameters: [
    parameter("path", "operationId", text, true),
    { ...parameter("header", "Last-Event-ID", text, false), description: "Of the last event that the client has" },
  ],
  responses: {
    "200": {
      description: "Events `state`, each with the whole state as its data",
      content: { "text/event-stream": { schema: { type: "string" } } },
    },
    "204": { description: "It has ended, and the client has its last event" },
    ...failures({ kind: "read" }),
  },
} as DescribeRouteOptions;
