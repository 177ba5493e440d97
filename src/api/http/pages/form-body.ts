// Room: api. Owns the reading of a sent form.
import { Problem } from "../v1/problems.ts";

/** The listener limits its size. */
export async function formOf(request: Request): Promise<URLSearchParams> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^application\/x-www-form-urlencoded\s*(;|$)/i.test(type)) {
    throw new Problem("unsupported_media_type", "the body is not a form's (application/x-www-form-urlencoded)");
  }
  return new URLSearchParams(await request.text());
}
