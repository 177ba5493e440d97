// Room: api. Owns what a request gives to its operation: fields from path, query and body, strictly, and its page.
import { z } from "zod";
import { invalidArgument } from "../../../domain/errors.ts";
import { faultsOf } from "../../../domain/parsing.ts";
import { quoted } from "../../../domain/quoted.ts";
import type { Place } from "../../../service/operation.ts";
import { readJsonObject } from "./body.ts";
import { type Endpoint, fieldsOfPath, isKeyForPath, pageLimits, pathByQuery, placeOfField } from "./endpoints.ts";

/** The parts of a request that fields are read from. */
export interface Parts {
  /** Also a key that is in the query for want of a path that could hold it. */
  readonly path: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly request: Request;
}

export interface Page {
  readonly limit: number;
  /** As `Runnable.placeOf` made it; undefined: from the beginning. */
  readonly after: Place | undefined;
}

type Kind = "text" | "number" | "boolean" | "texts";

/** The parts of a request whose path is `pathByQuery`: its key moves to where it is otherwise. */
export function withKeyInPath({ path, query, request }: Parts): Parts {
  const rest = new URLSearchParams(query);
  const [key = "", ...others] = query.getAll("key");
  requireOnce("key", [key, ...others]);
  rest.delete("key");
  return { path: { ...path, key }, query: rest, request };
}

/** Refuses a key that the path may not have meant, before anything is done to it. */
export function requireCertainKey(endpoint: Endpoint, { path: { key } }: Parts): void {
  if (key === undefined || isKeyForPath(endpoint, key)) return;
  const way = pathByQuery(endpoint) ?? "";
  throw invalidArgument(
    `key ${quoted(key)} cannot be told from another address in a path: send ${endpoint.method} ${way}?key=${encodeURIComponent(key)}`,
  );
}

/**
 * What stands for no text would become another: `%ff` in a path the text "%ff", in a query U+FFFD. Throws invalid_argument.
 */
export function requireDecodable({ pathname, search }: URL): void {
  for (const [part, text] of [
    ["path", pathname],
    ["query", search],
  ] as const) {
    try {
      decodeURIComponent(text);
    } catch (error) {
      throw invalidArgument(`the ${part} is not UTF-8 in percent-encoding, in which % itself is %25`, error);
    }
  }
}

/** How a request is read for one operation: made once, since a schema's description takes longer than a read. */
export function reader(endpoint: Endpoint, input: z.ZodObject) {
  const fields = Object.keys(input.shape).filter((field) => endpoint.kind !== "list" || field !== "after");
  const inPath = fieldsOfPath(endpoint.path).filter((field) => fields.includes(field));
  const inQuery = fields.filter((field) => placeOfField(endpoint, field) === "query");
  const inBody = fields.filter((field) => placeOfField(endpoint, field) === "body");
  const kinds = queryKinds(input, inQuery);
  const parameters = [...inQuery, ...(endpoint.kind === "list" ? ["limit", "cursor"] : [])];

  /** The operation's arguments, parsed; throws invalid_argument, or a Problem, for what is wrong with them. */
  const given = async ({ path, query, request }: Parts, page?: Page): Promise<Record<string, unknown>> => {
    requireKnown("query parameter", [...query.keys()], parameters);
    const body = endpoint.method === "GET" ? {} : await readJsonObject(request);
    requireKnown("field", Object.keys(body), inBody);
    const parsed = input.safeParse({
      ...body,
      ...Object.fromEntries(inQuery.flatMap((field) => fromQuery(query, field, kinds.get(field) ?? "text"))),
      ...Object.fromEntries(inPath.map((field) => [field, path[field]])),
      ...(page?.after !== undefined && { after: page.after }),
    });
    if (!parsed.success) throw invalidArgument(faultsOf(parsed.error.issues), parsed.error);
    return parsed.data;
  };
  return { given };
}

/** A typing error in an optional field would otherwise go unnoticed. */
export function requireKnown(what: string, names: readonly string[], known: readonly string[]): void {
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const list = known.length === 0 ? "there is none" : `there are ${known.join(", ")}`;
  throw invalidArgument(`${what} ${quoted(unknown)} is not known: ${list}`);
}

/** What the text of each parameter means. */
export function queryKinds(input: z.ZodObject, fields: readonly string[]): Map<string, Kind> {
  const { properties = {} } = z.toJSONSchema(input, { io: "input", unrepresentable: "any" });
  return new Map(fields.map((field) => [field, kindOf(properties[field])]));
}

function kindOf(schema: unknown): Kind {
  const type = typeof schema === "object" && schema !== null && "type" in schema ? schema.type : undefined;
  if (type === "array") return "texts";
  if (type === "number" || type === "integer") return "number";
  return type === "boolean" ? "boolean" : "text";
}

export function fromQuery(query: URLSearchParams, field: string, kind: Kind): [string, unknown][] {
  const texts = query.getAll(field);
  if (texts.length === 0) return [];
  if (kind === "texts") return [[field, texts]];
  requireOnce(field, texts);
  return [[field, valueFrom(texts[0] ?? "", kind)]];
}

function requireOnce(parameter: string, texts: readonly string[]): void {
  if (texts.length > 1) throw invalidArgument(`query parameter ${parameter} is there twice: give it once`);
}

/** What is no such value stays a text, which the schema refuses by name. */
function valueFrom(text: string, kind: Exclude<Kind, "texts">): unknown {
  if (kind === "boolean" && (text === "true" || text === "false")) return text === "true";
  if (kind === "number" && /^-?\d+(\.\d+)?$/.test(text)) return Number(text);
  return text;
}

/** The page that a list's request asks for. */
export function pageOf(query: URLSearchParams): Page {
  for (const name of ["limit", "cursor"]) requireOnce(name, query.getAll(name));
  const limitText = query.get("limit") ?? String(pageLimits.default);
  const limit = Number(limitText);
  if (!/^\d{1,6}$/.test(limitText) || limit < 1 || limit > pageLimits.most) {
    throw invalidArgument(`limit ${quoted(limitText)} is not valid: give 1 to ${pageLimits.most}`);
  }
  const cursor = query.get("cursor");
  return { limit, after: cursor === null ? undefined : placeIn(cursor) };
}

/** Opaque to callers: what it is made of may change. */
export const cursorOf = (place: Place): string => Buffer.from(JSON.stringify([place])).toString("base64url");

function placeIn(cursor: string): Place {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString());
    const place: unknown = Array.isArray(parsed) ? parsed[0] : undefined;
    if (typeof place === "string" || typeof place === "number") return place;
  } catch {
    // Falls through.
  }
  throw invalidArgument(`cursor ${quoted(cursor)} is not one of a 'next' link: begin without`);
}
