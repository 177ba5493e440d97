// Room: drivers. Owns which database a thin-pool belongs to: its transaction ID, compared and set at every take-over.
import { failedPrecondition, internal } from "../../../domain/errors.ts";
import type { Ownership } from "../../port.ts";
import { type DmControl, DmError } from "../control/control.ts";
import { type PoolDefinition, poolDeviceName } from "./definition.ts";
import { readPoolStatus } from "./health.ts";

const takeOverBits = 24;
const maxOwner = 2 ** 28 - 1;
const maxTakeOver = 2 ** takeOverBits - 1;

/** Below 2^52, so that it is exact as a number. */
export function transactionIdOf({ owner, takeOver }: Ownership): number {
  const isValid = (value: number, largest: number) => Number.isInteger(value) && value >= 1 && value <= largest;
  if (!isValid(owner, maxOwner)) throw internal(`owner ${owner} is not a whole number from 1 to ${maxOwner}`);
  if (!isValid(takeOver, maxTakeOver)) {
    throw internal(`the pool's database has been taken over ${takeOver} times; ${maxTakeOver} are possible`);
  }
  return owner * 2 ** takeOverBits + takeOver;
}

export const ownershipOf = (transactionId: number): Ownership => ({
  owner: Math.floor(transactionId / 2 ** takeOverBits),
  takeOver: transactionId % 2 ** takeOverBits,
});

/** Why a database whose last take-over is `known` cannot take over a pool with `transactionId`; undefined when it can. */
export function claimRefusal(pool: string, transactionId: number, known: Ownership | undefined): string | undefined {
  if (transactionId === 0) return undefined;
  const theirs = ownershipOf(transactionId);
  const giveUp = `or give up its content: delete the pool's directory, then 'snapmill pool create ${pool} --force'`;
  if (theirs.owner !== known?.owner) {
    const own = known === undefined ? "is new" : `has the owner number ${known.owner}`;
    return (
      `thin-pool ${pool} is another owner's (transaction ID ${transactionId}; this database ${own}): ` +
      `use the database that it was made with, from a backup if need be; ${giveUp}`
    );
  }
  if (theirs.takeOver > known.takeOver) {
    return (
      `thin-pool ${pool} was last taken over as number ${theirs.takeOver}, but this database only knows of ` +
      `${known.takeOver}: it is older than the pool, restored from a backup perhaps; use the newest database; ${giveUp}`
    );
  }
  return undefined;
}

interface Claim {
  readonly known: Ownership | undefined;
  readonly takeOver: () => Ownership;
}

/**
 * Takes the pool over, which ends the previous owner's claim. The count rises only after the pool is known to be the
 * database's: an old copy of the database that is refused must not catch up by retrying. Errors: see `Driver.claim`.
 */
export async function claimPool(control: DmControl, definition: PoolDefinition, claim: Claim): Promise<void> {
  const deviceName = poolDeviceName(definition.pool);
  const { transactionId: from } = await readPoolStatus(control, deviceName);
  const refusal = claimRefusal(definition.pool, from, claim.known);
  if (refusal !== undefined) throw failedPrecondition(refusal);
  const to = transactionIdOf(claim.takeOver());
  if (from === to) return;
  try {
    await control.message(deviceName, { kind: "set_transaction_id", from, to });
  } catch (error) {
    if (!(error instanceof DmError)) throw error;
    const { transactionId: now } = await readPoolStatus(control, deviceName);
    if (now === from) throw error;
    throw failedPrecondition(
      `thin-pool ${definition.pool} was taken by another (transaction ID ${now}) meanwhile`,
      error,
    );
  }
}
