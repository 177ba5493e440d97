// Room: cli. Owns the options that say how a batch is processed.
import { type Command, InvalidArgumentError } from "commander";
import { batchLimits, defaultAttempts, defaultPriority } from "../../domain/batches.ts";
import { batchId } from "../../domain/identifiers.ts";
import { parseDuration } from "../../domain/units.ts";
import { accept, wholeNumber } from "./options.ts";

export const parseBatch = accept(batchId);

export interface BatchOptions {
  readonly name?: string;
  readonly priority?: number;
  readonly parallel?: number;
  readonly attempts?: number;
  readonly failAfter?: number;
  readonly timeLimit?: number;
}

export const addBatchOptions = (command: Command): Command =>
  command
    .option("--name <text>", "a name for people")
    .option(
      "--priority <n>",
      `1 is the highest, ${batchLimits.priority} the lowest (default: ${defaultPriority}); a plain 'unpack' goes before all batches`,
      wholeNumber(1, batchLimits.priority),
    )
    .option(
      "--parallel <n>",
      "the most items to unpack at the same time (default: twice the number of unpack workers)",
      wholeNumber(1, batchLimits.parallel),
    )
    .option(
      "--attempts <n>",
      `the most attempts at an item (default: ${defaultAttempts})`,
      wholeNumber(1, batchLimits.attempts),
    )
    .option("--fail-after <n%>", "cancel the rest when more than this share of the items has failed", parsePercent)
    .option("--time-limit <time>", "for each attempt at an item, from its start: 90s, 10m, 2h", accept(parseDuration));

function parsePercent(text: string): number {
  const percent = Number(/^(\d{1,3})%?$/.exec(text)?.[1] ?? Number.NaN);
  if (percent >= 0 && percent <= 100) return percent;
  throw new InvalidArgumentError(`${JSON.stringify(text)} is not a share of the items: write it like 10%`);
}

/** As `submitBatch` takes them. */
export const batchSettings = ({ name, priority, parallel, attempts, failAfter, timeLimit }: BatchOptions) => ({
  ...(name !== undefined && { name }),
  ...(priority !== undefined && { priority }),
  ...(parallel !== undefined && { parallel }),
  ...(attempts !== undefined && { attempts }),
  ...(failAfter !== undefined && { failAfterPercent: failAfter }),
  ...(timeLimit !== undefined && { timeLimitMs: timeLimit }),
});
