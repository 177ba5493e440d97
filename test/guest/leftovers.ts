// Room: test. Owns the search for leftovers in the guest: they fail its test files. Bun loads it before the files; the hook
// runs after the last of them.
import { afterAll } from "bun:test";
import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { leftoversIn } from "../../scripts/test-leftovers.ts";

mkdirSync(tmpdir(), { recursive: true });

afterAll(async () => {
  const found = await leftoversIn(tmpdir());
  if (found.length > 0) throw new Error(found.map((leftover) => `left behind in the guest: ${leftover}`).join("\n"));
});
