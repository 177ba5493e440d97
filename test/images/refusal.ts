// Room: test. Owns the check that an image is refused, with an error that names it.
import { expect } from "bun:test";
import { isSnapmillError } from "../../src/domain/errors.ts";
import { openImage } from "../../src/images/resolve.ts";

/** What opening the image throws; a sentence when it throws nothing. */
export async function failure(reference: string, platform = "linux/amd64"): Promise<unknown> {
  try {
    await using image = await openImage(reference, platform);
    return `opened ${image.reference}`;
  } catch (error) {
    return error;
  }
}

export async function expectRefusal(reference: string, code: "not_found" | "failed_precondition", message: RegExp) {
  const error = await failure(reference);
  expect(isSnapmillError(error, code) ? error.message : error).toMatch(message);
  expect(String(error)).toContain(`image ${reference}: `);
}
