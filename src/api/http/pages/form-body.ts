// Room: api. Owns the reading of a sent form.
import { maxBodyBytes, readBody } from "../request-body.ts";
import { Problem } from "../v1/problems.ts";

export async function formOf(request: Request): Promise<URLSearchParams> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^application\/x-www-form-urlencoded\s*(;|$)/i.test(type)) {
    throw new Problem("unsupported_media_type", "the body is not a form's (application/x-www-form-urlencoded)");
  }
  const bytes = await readBody(request);
  if (bytes === undefined) throw new Problem("body_too_large", `the form has more than ${maxBodyBytes} bytes`);
  return new URLSearchParams(new TextDecoder().decode(bytes));
}
