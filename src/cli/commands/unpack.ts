// Room: cli. Owns `snapmill unpack`.
import { randomUUID } from "node:crypto";
import { type Command, Option } from "commander";
import { absoluteReference } from "../../images/reference.ts";
import type { PlannedImage, UnresolvedImage } from "../../service/plan-unpack.ts";
import { imageJson, imageLines } from "../output/image-report.ts";
import { printJson, printLines, say } from "../output/output.ts";
import { planJson, planLines, plannedLines } from "../output/plan-report.ts";
import { whilePoolRuns, whilePoolUnpacks } from "../pool/open.ts";
import type { Pool } from "../pool/pool.ts";
import { AlreadySaid, sentenceOf } from "../support/failures.ts";
import { tellHold } from "../support/held.ts";
import { referencesOf } from "../support/host-paths.ts";
import { catchInterruption } from "../support/interruption.ts";
import { accept, examples, type JsonOption, jsonOption, wholeNumber } from "../support/options.ts";
import { readReferences } from "../support/reference-list.ts";
import { addImageOptions, type ImageOptions, registryOptions } from "../support/registry-options.ts";
import { type UnpackOutcome, unpackEach } from "../support/unpack-each.ts";
import { submitTo } from "./batch-submit.ts";

export function addUnpack(program: Command): void {
  const unpack = program
    .command("unpack")
    .description("unpack images into snapshots, a committed one for each chain of layers")
    .summary("unpack images into snapshots")
    .argument(
      "[ref...]",
      "NAME[:TAG][@DIGEST] or docker://NAME in a registry, oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME:TAG]",
      parseReferences,
    );
  addImageOptions(unpack)
    .option("--concurrency <n>", "images at the same time (default: SNAPMILL_UNPACK_WORKERS, or 2)", wholeNumber(1, 64))
    .option(
      "--from <file>",
      "unpack a list, one reference per line, as a batch (see 'batch submit --wait'); '-': standard input",
    )
    .addOption(
      new Option("--detach", "submit the images as a batch, print its ID, and do not wait").conflicts("dryRun"),
    )
    .option("--dry-run", "resolve the images, and show what would be fetched and whether the pool has room for it")
    .addOption(jsonOption("one JSON object per image; with --from, one for the batch"))
    .addHelpText("after", howItRuns)
    .addHelpText(
      "after",
      examples(
        ["unpack alpine ghcr.io/org/app:v1", "from registries, as docker reads these names"],
        ["unpack oci:./image:latest", "an OCI layout, as skopeo and buildah write it"],
        ["unpack docker-archive:busybox.tar", "what 'docker save' wrote"],
        ["unpack --platform linux/arm64 oci:./image", "for another architecture"],
        ["unpack --dry-run alpine debian", "what that would fetch, and whether the pool has room"],
        ["unpack --from images.txt", "all images of a list; waits for their end"],
        ["unpack --json oci-archive:a.tar oci-archive:b.tar | jq -r .snapshot", "several; prints their snapshots"],
      ),
    )
    .action(async (given: readonly string[], options: UnpackOptions, command: Command) => {
      const inFull = referencesOf(command);
      const listed = options.from === undefined ? [] : readReferences(options.from, inFull);
      const references = [...new Set([...given.map(inFull), ...listed])];
      if (references.length === 0) command.error("name an image at least, or a list of them with --from");
      if (options.dryRun === true) await planEach(references, options, command);
      else if (options.detach === true || options.from !== undefined) await unpackAsBatch(references, options, command);
      else await unpackNow(references, options, command);
    });
}

interface UnpackOptions extends ImageOptions, JsonOption {
  readonly concurrency?: number;
  readonly from?: string;
  readonly detach?: true;
  readonly dryRun?: true;
}

const overridesOf = ({ concurrency }: UnpackOptions) => ({
  SNAPMILL_UNPACK_WORKERS: concurrency === undefined ? undefined : String(concurrency),
});

/** The bandwidth is the command's, and its images may share blobs: several are a group. */
const registryOf = (references: readonly string[], options: UnpackOptions, command: Command) =>
  registryOptions(command, options, references.length > 1 ? randomUUID() : undefined);

async function unpackNow(references: readonly string[], options: UnpackOptions, command: Command): Promise<void> {
  const { platform } = options;
  const registry = registryOf(references, options, command);
  const requests = references.map((reference) => ({ reference, platform, registry }));
  using interruption = catchInterruption();
  const { signal } = interruption;
  const running = { signal, overrides: overridesOf(options), forImages: references.length };
  const failures = await whilePoolUnpacks(command, running, async (pool) => {
    await tellHold(pool);
    const { progressReporter } = await import("../output/progress.ts");
    using progress = await progressReporter((reference, outcome) => report(reference, outcome, options.json));
    const concurrency = options.concurrency ?? (await pool.unpackWorkers());
    return await unpackEach(pool, requests, { concurrency, reporter: progress, signal });
  });
  if (failures > 0) throw new AlreadySaid();
}

async function unpackAsBatch(references: readonly string[], options: UnpackOptions, command: Command): Promise<void> {
  const { detach, concurrency, ...rest } = options;
  const parallel = concurrency === undefined ? {} : { parallel: concurrency };
  await submitTo(command, references, { ...rest, ...parallel, wait: detach !== true }, overridesOf(options));
}

async function planEach(references: readonly string[], options: UnpackOptions, command: Command): Promise<void> {
  const given = { references, platform: options.platform, registry: registryOf(references, options, command) };
  using interruption = catchInterruption();
  const { signal } = interruption;
  const running = { signal, overrides: overridesOf(options), forImages: references.length };
  await whilePoolRuns(command, running, async (pool) => {
    await tellHold(pool);
    await showPlan(pool, given, options, signal);
  });
}

const howItRuns = `
If no 'snapmill up' runs for the state directory, unpack starts what it needs, and stops it afterwards.
An image that fails does not stop the others. Layers that are already in the pool are not unpacked again.
--dry-run fetches no layer. It estimates the space that layers will take from the expansion factor of the layers that the
pool has unpacked (3 while they are few), and adds a tenth and 4 MiB per layer for the file system.
--from and --detach submit the images as a batch, which outlives this command: 'batch show' shows its progress.
An archive must be a file, not a pipe or standard input, because another process reads it.`;

/** Checked here, so that an invalid reference is a usage error; see `referencesOf`. */
function parseReferences(text: string, previous: readonly string[] | undefined): readonly string[] {
  accept((reference: string) => absoluteReference(reference, process.cwd()))(text);
  return [...(previous ?? []), text];
}

/** Throws AlreadySaid if an image cannot be resolved, or if the images do not fit the pool. */
async function showPlan(
  pool: Pool,
  given: Parameters<Pool["planUnpack"]>[0],
  { json }: JsonOption,
  signal: AbortSignal,
): Promise<void> {
  const onImage = async (image: PlannedImage | UnresolvedImage) => {
    if ("code" in image) say(failureSentence(image.message, image.reference));
    else await (json ? printJson(image) : printLines(plannedLines(image)));
  };
  const plan = await pool.planUnpack(given, { signal, onImage });
  await (json ? printJson(planJson(plan)) : printLines(planLines(plan)));
  if (plan.failed.length > 0 || !plan.fits) throw new AlreadySaid();
}

async function report(reference: string, outcome: UnpackOutcome, json: true | undefined): Promise<void> {
  switch (outcome.state) {
    case "unpacked":
      if (json) await printJson(imageJson(outcome.image));
      else await printLines(imageLines(outcome.image, outcome.ms));
      break;
    case "failed":
      say(failureSentence(outcome.error, reference));
      break;
  }
}

/** The failure's sentence; it names the image also where the failure is not the image's own (Redis away, say). */
function failureSentence(error: unknown, reference: string): string {
  const message = error instanceof Error ? error.message : String(error);
  return sentenceOf(message.includes(reference) ? message : `${reference}: ${message}`) ?? "";
}
