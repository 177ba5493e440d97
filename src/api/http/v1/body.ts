// Room: api. Owns the reading of a request's JSON body, within its limit.
import { invalidArgument, isSnapmillError } from "../../../domain/errors.ts";
import { maxBodyBytes, readBody } from "../request-body.ts";
import { Problem } from "./problems.ts";

/** The body's fields; of an empty body, none. */
export async function readJsonObject(request: Request): Promise<Record<string, unknown>> {
  requireNoEncoding(request.headers.get("content-encoding"));
  const text = await readText(request);
  if (text === "") return {};
  requireJsonType(request.headers.get("content-type"));
  const value = parsed(text);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  throw invalidArgument("the body is not a JSON object: send {…}");
}

function requireNoEncoding(encoding: string | null): void {
  if (encoding === null || encoding.trim().toLowerCase() === "identity") return;
  throw new Problem(
    "unsupported_media_type",
    `the body's Content-Encoding is ${JSON.stringify(encoding)}: send it as it is`,
  );
}

function requireJsonType(type: string | null): void {
  if (/^application\/json\s*(;\s*charset="?utf-8"?\s*)?$/i.test(type?.trim() ?? "")) return;
  throw new Problem("unsupported_media_type", `the body's Content-Type is ${JSON.stringify(type ?? "")}`);
}

function parsed(text: string): unknown {
  try {
    // Only an escape can stand for half of a character.
    return JSON.parse(text, /\\u[dD][89a-fA-F]/.test(text) ? wellFormed : undefined);
  } catch (error) {
    if (isSnapmillError(error)) throw error;
    throw invalidArgument(`the body is not JSON: ${error instanceof Error ? error.message : String(error)}`, error);
  }
}

/** No database keeps half of a character: two different texts would become the same. */
function wellFormed(name: string, value: unknown): unknown {
  for (const text of [name, value]) {
    if (typeof text === "string" && !text.isWellFormed())
      throw invalidArgument("the body has half of a character (\\ud800)");
  }
  return value;
}

async function readText(request: Request): Promise<string> {
  const bytes = await readBody(request);
  if (bytes === undefined) throw new Problem("body_too_large", `the body has more than ${maxBodyBytes} bytes`);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw invalidArgument("the body is not UTF-8", error);
  }
}
