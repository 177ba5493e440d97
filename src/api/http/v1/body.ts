// Room: api. Owns the reading of a request's JSON body, within its limit.
import { invalidArgument } from "../../../domain/errors.ts";
import { Problem } from "./problems.ts";

export const maxBodyBytes = 2 ** 20;

/** The body's fields; of an empty body, none. */
export async function readJsonObject(request: Request): Promise<Record<string, unknown>> {
  const text = await readText(request);
  if (text === "") return {};
  requireJsonType(request.headers.get("content-type"));
  const value = parsed(text);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  throw invalidArgument("the body is not a JSON object: send {…}");
}

function requireJsonType(type: string | null): void {
  if (/^application\/json\s*(;\s*charset="?utf-8"?\s*)?$/i.test(type?.trim() ?? "")) return;
  throw new Problem("unsupported_media_type", `the body's Content-Type is ${JSON.stringify(type ?? "")}`);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalidArgument(`the body is not JSON: ${error instanceof Error ? error.message : String(error)}`, error);
  }
}

/** Reads no more than the limit, whatever length the caller has announced. */
async function readText(request: Request): Promise<string> {
  const announced = Number(request.headers.get("content-length") ?? 0);
  if (announced > maxBodyBytes) throw tooLarge();
  if (request.body === null) return "";
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request.body) {
      bytes += chunk.byteLength;
      if (bytes > maxBodyBytes) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (error) {
    // Bun has a limit of its own, for a body whose length is not announced.
    throw error instanceof Error && /maxRequestBodySize/.test(error.message) ? tooLarge() : error;
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch (error) {
    throw invalidArgument("the body is not UTF-8", error);
  }
}

const tooLarge = () => new Problem("body_too_large", `the body has more than ${maxBodyBytes} bytes`);
