// Room: cli. Owns `snapmill unpack`.
import { randomUUID } from "node:crypto";
import { resolve } from "node:path";
import type { Command } from "commander";
import type { Config } from "../../config.ts";
import type { RegistryOptions } from "../../domain/registry-options.ts";
import { parseSize } from "../../domain/units.ts";
import { formatPlatform, hostPlatform, parsePlatform } from "../../images/platform.ts";
import { absoluteReference } from "../../images/reference.ts";
import type { LocalService } from "../../service/local-service.ts";
import { type PlannedImage, planUnpack, type UnresolvedImage } from "../../service/plan-unpack.ts";
import { type UnpackOutcome, unpackEach } from "../../service/unpack.ts";
import { whileRunning } from "../../service/while-running.ts";
import { imageJson, imageLines } from "../output/image-report.ts";
import { notice, printJson, printLines, say } from "../output/output.ts";
import { planJson, planLines, plannedLines } from "../output/plan-report.ts";
import { AlreadySaid, sentenceOf } from "../support/failures.ts";
import { catchInterruption } from "../support/interruption.ts";
import { accept, configOf, examples, type JsonOption, jsonOption, wholeNumber } from "../support/options.ts";

export function addUnpack(program: Command): void {
  program
    .command("unpack")
    .description("unpack images into snapshots, a committed one for each chain of layers")
    .summary("unpack images into snapshots")
    .argument(
      "<ref...>",
      "NAME[:TAG][@DIGEST] or docker://NAME in a registry, oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME:TAG]",
      parseReferences,
    )
    .option(
      "--platform <os/arch>",
      "which image of a multi-platform index (default: this machine's)",
      parsePlatformText,
    )
    .option("--concurrency <n>", "images at the same time (default: SNAPMILL_UNPACK_WORKERS, or 2)", wholeNumber(1, 64))
    .option(
      "--authfile <file>",
      "registries' credentials, on the pool's host (default: those of docker and podman)",
      (path) => resolve(path),
    )
    .option("--plain-http", "reach registries over HTTP where no hosts.toml says otherwise")
    .option(
      "--bandwidth <size>",
      "bytes a second from registries, at most, such as 20MB (default: no limit)",
      parseRate,
    )
    .option(
      "--min-rate <size>",
      "bytes a second below which a download is begun again (default: 1KiB, over a minute)",
      parseRate,
    )
    .option("--dry-run", "resolve the images, and show what would be fetched and whether the pool has room for it")
    .addOption(jsonOption("one JSON object an image"))
    .addHelpText("after", howItRuns)
    .addHelpText(
      "after",
      examples(
        ["unpack alpine ghcr.io/org/app:v1", "from registries, as docker reads these names"],
        ["unpack oci:./image:latest", "an OCI layout, as skopeo and buildah write it"],
        ["unpack docker-archive:busybox.tar", "what 'docker save' wrote"],
        ["unpack --platform linux/arm64 oci:./image", "for another architecture"],
        ["unpack --dry-run alpine debian", "what that would fetch, and whether the pool has room"],
        ["unpack --json oci-archive:a.tar oci-archive:b.tar | jq -r .snapshot", "several; where they are now"],
      ),
    )
    .action(async (references: readonly string[], options: UnpackOptions, command: Command) => {
      const workers = options.concurrency === undefined ? undefined : String(options.concurrency);
      const wanted = [...new Set(references)];
      const given = quiet(configOf(command, { SNAPMILL_UNPACK_WORKERS: workers }));
      const config = { ...given, unpackWorkers: Math.min(given.unpackWorkers, wanted.length) };
      const { platform = formatPlatform(hostPlatform()) } = options;
      const registry = registryOptions(options, wanted.length);
      const requests = wanted.map((reference) => ({ reference, platform, registry }));
      using interruption = catchInterruption();
      const { signal } = interruption;
      if (options.dryRun === true) {
        const given = { references: wanted, platform, registry };
        await whileRunning(config, { notice, signal }, (service) => showPlan(service, given, options, signal));
        return;
      }
      const failures = await whileRunning(config, { notice, signal }, async (service) => {
        const { progressReporter } = await import("../output/progress.ts");
        using progress = progressReporter((reference, outcome) => report(reference, outcome, options.json));
        return await unpackEach(service, requests, { concurrency: config.unpackWorkers, reporter: progress, signal });
      });
      if (failures > 0) throw new AlreadySaid();
    });
}

/** Failures are reported here, and a log would disturb the progress bars: it must be asked for by a level. */
const quiet = (config: Config): Config => ({
  ...config,
  logLevel: config.logLevel === "info" ? "error" : config.logLevel,
});

const howItRuns = `
Without a running 'snapmill up' for the state directory, what is needed is brought up, and taken down again at the end.
An image that fails does not stop the others; layers that are there already are not unpacked again.
With --dry-run no layer is fetched. What layers take is estimated: compressed ones become as much larger as those that
the pool has unpacked (3 times, while they are few), with a tenth and 4 MiB a layer for the file system.
An archive must be a file, not a pipe or standard input: another process reads it.`;

interface UnpackOptions extends JsonOption {
  readonly platform?: string;
  readonly concurrency?: number;
  readonly authfile?: string;
  readonly plainHttp?: true;
  readonly bandwidth?: number;
  readonly minRate?: number;
  readonly dryRun?: true;
}

/** The bandwidth is the command's, and its images may share blobs: they are a group. */
function registryOptions({ authfile, plainHttp, bandwidth, minRate }: UnpackOptions, images: number): RegistryOptions {
  return {
    ...(images > 1 && { group: randomUUID() }),
    ...(authfile !== undefined && { authFile: authfile }),
    ...(plainHttp === true && { plainHttp }),
    ...(minRate !== undefined && { minBytesPerSecond: minRate }),
    ...(bandwidth !== undefined && { maxBytesPerSecond: bandwidth }),
  };
}

/** Made absolute: the worker's directory is not the caller's. */
const parseReferences = (text: string, previous: readonly string[] | undefined): readonly string[] => [
  ...(previous ?? []),
  accept((reference: string) => absoluteReference(reference, process.cwd()))(text),
];

const parseRate = accept(parseSize);
const parsePlatformText = accept((text: string) => formatPlatform(parsePlatform(text)));

/** Throws AlreadySaid when an image cannot be resolved, or there is no room for them. */
async function showPlan(
  service: LocalService,
  given: Parameters<typeof planUnpack>[1],
  { json }: JsonOption,
  signal: AbortSignal,
): Promise<void> {
  const onImage = async (image: PlannedImage | UnresolvedImage) => {
    if ("code" in image) say(failureSentence(image.message, image.reference));
    else await (json ? printJson(image) : printLines(plannedLines(image)));
  };
  const plan = await planUnpack(service, given, { signal, onImage });
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
