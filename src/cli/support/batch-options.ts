// Room: cli. Owns the options that say how a batch is worked off.
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
    .option("--name <text>", "what people call it")
    .option(
      "--priority <n>",
      `1 goes first, ${batchLimits.priority} last (default: ${defaultPriority}); a plain 'unpack' goes before all batches`,
      wholeNumber(1, batchLimits.priority),
    )
    .option(
      "--parallel <n>",
      "items at the same time, at most (default: twice the unpack workers)",
      wholeNumber(1, batchLimits.parallel),
    )
    .option(
      "--attempts <n>",
      `how often an item is tried (default: ${defaultAttempts})`,
      wholeNumber(1, batchLimits.attempts),
    )
    .option("--fail-after <n%>", "when more of the items than this have failed, cancel the rest", parsePercent)
    .option("--time-limit <time>", "of each attempt at an item, from its start: 90s, 10m, 2h", accept(parseDuration));

function parsePercent(text: string): number {
  const percent = Number(/^(\d{1,3})%?$/.exec(text)?.[1] ?? Number.NaN);
  if (percent >= 0 && percent <= 100) return percent;
  throw new InvalidArgumentError(`${JSON.stringify(text)} is no share of the items: write it like 10%`);
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
