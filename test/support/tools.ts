// Room: test. Owns tests that need another program: where it is missing, they are skipped with that reason.
import { describe, test } from "bun:test";

/** The first of `programs` that is not on PATH. */
const missingOf = (programs: readonly string[]): string | undefined =>
  programs.find((program) => Bun.which(program) === null);

const because = (missing: string): string => ` (skipped: ${missing} is not on PATH; npm test provides it)`;

/** A test that needs `programs`. */
export function testWith(
  programs: readonly string[],
  title: string,
  body: () => Promise<void>,
  timeoutMs = 60_000,
): void {
  const missing = missingOf(programs);
  const reason = missing === undefined ? "" : because(missing);
  test.skipIf(missing !== undefined)(title + reason, body, timeoutMs);
}

/** Tests that all need `programs`; where one is missing, they are one test that is skipped. */
export function describeWith(programs: readonly string[], title: string, body: () => void): void {
  const missing = missingOf(programs);
  if (missing === undefined) describe(title, body);
  else test.skipIf(true)(title + because(missing), () => undefined);
}
