// Room: test. Owns tests that need another program: they run where it is, and say why they are skipped where it is not.
import { test } from "bun:test";

/** The first of `programs` that is not on PATH. */
const missingOf = (programs: readonly string[]): string | undefined =>
  programs.find((program) => Bun.which(program) === null);

/** A test that needs `programs`. */
export function testWith(
  programs: readonly string[],
  title: string,
  body: () => Promise<void>,
  timeoutMs = 60_000,
): void {
  const missing = missingOf(programs);
  const reason = missing === undefined ? "" : ` (skipped: ${missing} is not on PATH; npm test provides it)`;
  test.skipIf(missing !== undefined)(title + reason, body, timeoutMs);
}
