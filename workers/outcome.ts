// Room: workers. Owns the outcome of a process that does one thing: printed for its parent as JSON, and then it ends.
import { encodeFailure } from "../src/domain/errors.ts";

/** Prints what `work` answers, or `{ failure }`. */
export async function endWithOutcomeOf(work: () => Promise<object>): Promise<never> {
  const outcome = await work().catch((error: unknown) => ({ failure: encodeFailure(error) }));
  await Bun.write(Bun.stdout, JSON.stringify(outcome));
  process.exit();
}
