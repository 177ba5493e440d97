// Room: client. Owns how an operation becomes a request: its fields in path, query and body, as its endpoint says.
import { type Endpoint, isKeyForPath, pathByQuery, placeOfField } from "../api/http/v1/endpoints.ts";
import { quoted } from "../domain/quoted.ts";
import { invalid } from "./failures.ts";

export type Fields = Readonly<Record<string, unknown>>;

export interface Wanted {
  readonly method: Endpoint["method"];
  /** Path and query. */
  readonly target: string;
  readonly body: string | undefined;
}

/** `given` contains the pool, where the path does. */
export function requestFor(endpoint: Endpoint, given: Fields): Wanted {
  const { method } = endpoint;
  const fields = Object.entries(given).filter(([, value]) => value !== undefined);
  const standing = (place: ReturnType<typeof placeOfField>) =>
    fields.filter(([field]) => placeOfField(endpoint, field) === place);
  const query = standing("query").flatMap(([field, value]) =>
    [value].flat().map((text): [string, string] => [field, String(text)]),
  );
  const key = given["key"];
  const otherPath = typeof key === "string" && !isKeyForPath(endpoint, key) ? pathByQuery(endpoint) : undefined;
  if (otherPath !== undefined) query.push(["key", String(key)]);
  const path = (otherPath ?? endpoint.path).replace(/\{(\w+)\}/g, (_, field: string) => segment(field, given[field]));
  const hasBody = method !== "GET" && method !== "DELETE";
  return {
    method,
    target: query.length === 0 ? path : `${path}?${new URLSearchParams(query).toString()}`,
    body: hasBody ? JSON.stringify(Object.fromEntries(standing("body"))) : undefined,
  };
}

/** A URL loses the segments `.` and `..`, however they are written. */
function segment(field: string, value: unknown): string {
  const text = typeof value === "string" || typeof value === "number" ? String(value) : "";
  if (text === "" || text === "." || text === "..") {
    throw invalid(`${field} ${quoted(text)} cannot be named over HTTP: use another name`);
  }
  return encodeURIComponent(text);
}
