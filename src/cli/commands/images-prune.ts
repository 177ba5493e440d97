// Room: cli. Owns `snapmill images prune`.
import type { Command } from "commander";
import { parseDuration, parsePercentage } from "../../domain/units.ts";
import type { Pruned } from "../../service/prune-images.ts";
import { formatShare, formatTime, plural, printable } from "../output/format.ts";
import { printJson, printLines, say } from "../output/output.ts";
import { freedLine, keptSentence } from "../output/removed-images.ts";
import { openPool } from "../pool/open.ts";
import { wantsJson } from "../support/image-options.ts";
import { catchInterruption } from "../support/interruption.ts";
import { accept, examples, jsonOption, wholeNumber } from "../support/options.ts";

interface PruneOptions {
  readonly olderThan?: number;
  readonly keep?: number;
  readonly untilFree?: number;
  readonly dryRun?: true;
}

export function addImagesPrune(images: Command): void {
  images
    .command("prune")
    .description("remove images without a name, or by rules, least recently requested first; never pinned ones")
    .summary("remove images that were not requested lately")
    .option("--older-than <age>", "only images last requested longer ago than this: 30d, 12h", accept(parseDuration))
    .option("--keep <n>", "keep the n named images that were requested last", wholeNumber(0, 1_000_000))
    .option("--until-free <share>", "stop when this share of the pool is free: 20%", accept(parsePercentage))
    .option("--dry-run", "only show what would be removed")
    .addOption(jsonOption("one JSON object"))
    .addHelpText("after", howRulesWork)
    .addHelpText(
      "after",
      examples(
        ["images prune", "images without a name, and layers of failed unpacks"],
        ["images prune --older-than 30d --keep 20", "what was not requested in a month, except the latest 20"],
        ["images prune --until-free 20%", "as many as it takes"],
      ),
    )
    .action(async (options: PruneOptions, command: Command) => {
      const { olderThan: olderThanMs, keep, untilFree: untilFreeShare, dryRun: isDryRun } = options;
      await using pool = await openPool(command);
      using interruption = catchInterruption();
      const pruned = await pool.pruneImages({ olderThanMs, keep, untilFreeShare, isDryRun }, interruption);
      if (wantsJson(command)) await printJson(pruned);
      else await printLines(lines(pruned, isDryRun === true));
      for (const kept of pruned.kept) say(`snapmill: ${keptSentence(kept)}`);
    });
}

const howRulesWork = `
Without a rule, prune removes only images that have lost their last name, and layers that belong to no image. With several
rules, an image is removed only if all of them allow it. Images without a name go first; --keep does not count them. To
unpack an image is to request it, even if the pool already has it.`;

function lines({ images, layers, space }: Pruned, isDryRun: boolean): string[] {
  const verb = isDryRun ? "would remove" : "removed";
  const told = images.map(({ manifestDigest, platform, references, lastAskedAtMs }) => {
    const names = references.length === 0 ? "<none>" : printable(references.join(", "));
    return `${verb} ${names} (${manifestDigest}, ${platform}), last requested ${formatTime(lastAskedAtMs)}`;
  });
  const sum = `${verb} ${plural(images.length, "image")} and ${freedLine({ layers }, "")}`;
  if (space === null) return [...told, sum];
  return [...told, sum, `space in use in the pool: ${formatShare(space.usedBytes, space.totalBytes)}`];
}
