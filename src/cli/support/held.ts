// Room: cli. Owns what a command that unpacks says of a pool whose unpack queue is held.
import { failedPrecondition, isSnapmillError } from "../../domain/errors.ts";
import { describeHold, type QueueHold } from "../../domain/queues.ts";
import { commandOn } from "../../domain/verdict-trouble.ts";
import { notice } from "../output/output.ts";
import type { UnpackPool } from "../pool/pool.ts";

type Held = Pick<UnpackPool, "name" | "serving" | "unpackHold">;

/** Says that unpacks wait. Throws failed_precondition where services would run, and wait, for this command alone. */
export async function tellHold(pool: Held): Promise<void> {
  const hold = await unpackHoldOf(pool);
  if (hold === null) return;
  const sentence = `the pool is ${describeHold(hold)}`;
  if ((await pool.serving()) !== "lasting") {
    throw failedPrecondition(`${sentence}: nothing is unpacked before '${commandOn(pool.name, "resume")}'`);
  }
  notice(`${sentence}: unpacks wait until '${commandOn(pool.name, "resume")}'`);
}

async function unpackHoldOf(pool: Held): Promise<QueueHold | null> {
  try {
    return await pool.unpackHold();
  } catch (error) {
    // An 'up' that has just started is still making the pool, which nobody can have held.
    if (isSnapmillError(error, "not_found")) return null;
    throw error;
  }
}
