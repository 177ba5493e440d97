// Room: cli. Owns `snapmill unpack`.
import { randomUUID } from "node:crypto";
import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import type { Config } from "../../config.ts";
import { AbortReason, Canceller } from "../../domain/cancellation.ts";
import { freshOperationId, type OperationId } from "../../domain/identifiers.ts";
import type { RegistryOptions } from "../../domain/registry-options.ts";
import { startTimer, type Timer } from "../../domain/timers.ts";
import { parseSize } from "../../domain/units.ts";
import { formatPlatform, hostPlatform, parsePlatform } from "../../images/platform.ts";
import { absoluteReference } from "../../images/reference.ts";
import type { UnpackedImage, UnpackProgress, UnpackRequest } from "../../jobs/contract.ts";
import type { JobClient } from "../../jobs/requests/client.ts";
import { pendingOutbox } from "../../metadata/outbox.ts";
import { connectPatiently } from "../../service/running-client.ts";
import { openStore } from "../../service/store.ts";
import type { Whose } from "../../supervisor/services.ts";
import { imageJson, imageLines } from "../output/image-report.ts";
import { notice, printJson, printLines, say } from "../output/output.ts";
import type { ProgressReporter } from "../output/progress.ts";
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
    .addOption(jsonOption("one JSON object an image"))
    .addHelpText("after", howItRuns)
    .addHelpText(
      "after",
      examples(
        ["unpack alpine ghcr.io/org/app:v1", "from registries, as docker reads these names"],
        ["unpack oci:./image:latest", "an OCI layout, as skopeo and buildah write it"],
        ["unpack docker-archive:busybox.tar", "what 'docker save' wrote"],
        ["unpack --platform linux/arm64 oci:./image", "for another architecture"],
        ["unpack --json oci-archive:a.tar oci-archive:b.tar | jq -r .snapshot", "several; where they are now"],
      ),
    )
    .action(async (references: readonly string[], options: UnpackOptions, command: Command) => {
      const workers = options.concurrency === undefined ? undefined : String(options.concurrency);
      const wanted = [...new Set(references)];
      const given = quiet(configOf(command, { SNAPMILL_UNPACK_WORKERS: workers }));
      const config = { ...given, unpackWorkers: Math.min(given.unpackWorkers, wanted.length) };
      using interruption = catchInterruption();
      const { signal } = interruption;
      const { withServices } = await import("../../supervisor/services.ts");
      await withServices(config, (whose) => unpackAll(config, wanted, options, whose, signal), { signal });
    });
}

/** Failures are told here, and a log between the bars would only upset them. Whoever wants it, asks for a level. */
const quiet = (config: Config): Config => ({
  ...config,
  logLevel: config.logLevel === "info" ? "error" : config.logLevel,
});

const howItRuns = `
Without a running 'snapmill up' for the state directory, what is needed is brought up, and taken down again at the end.
An image that fails does not stop the others; layers that are there already are not unpacked again.
An archive must be a file, not a pipe or standard input: another process reads it.`;

interface UnpackOptions extends JsonOption {
  readonly platform?: string;
  readonly concurrency?: number;
  readonly authfile?: string;
  readonly plainHttp?: true;
  readonly bandwidth?: number;
  readonly minRate?: number;
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

/** Throws AlreadySaid when an image failed, and what `signal` was aborted with. */
async function unpackAll(
  config: Config,
  references: readonly string[],
  options: UnpackOptions,
  whose: Whose,
  signal: AbortSignal,
): Promise<void> {
  const { platform = formatPlatform(hostPlatform()), json } = options;
  const registry = registryOptions(options, references.length);
  await using client = await connectPatiently(config, notice, signal);
  const { progressReporter } = await import("../output/progress.ts");
  using progress = progressReporter();
  const waiting = references.values();
  const outputFailure = new Canceller();
  const ended = AbortSignal.any([signal, outputFailure.signal]);
  let failures = 0;

  /** Takes images off the list until there are none left; several do so at the same time. */
  async function work(): Promise<void> {
    for (const reference of waiting) {
      if (ended.aborted) return;
      const outcome = await unpackOne(client, { reference, platform, registry }, progress, ended);
      if (ended.aborted) return;
      if (outcome.state === "failed") failures += 1;
      await progress
        .end(reference, () => report(outcome, reference, json))
        .catch((cause: unknown) =>
          outputFailure.cancel(new AbortReason("output", "the output cannot be written", { cause })),
        );
    }
  }
  await Promise.all(Array.from({ length: config.unpackWorkers }, work));
  if (whose === "ours") await untilSettled(config, client, ended);
  if (outputFailure.isCancelled) throw outputFailure.signal.reason.cause;
  signal.throwIfAborted();
  if (failures > 0) throw new AlreadySaid();
}

const settledPollMs = 100;

/** What an earlier command had accepted before it was killed is finished, too, before the pieces are taken down. */
async function untilSettled(config: Config, client: JobClient, signal: AbortSignal): Promise<void> {
  using database = openStore(config);
  while (!signal.aborted) {
    const accepted = pendingOutbox(database, "unpack").map(({ operationId }) => operationId);
    if (!(await client.willBeSettled(accepted))) return;
    await delay(settledPollMs);
  }
}

type Outcome =
  | { readonly state: "unpacked"; readonly image: UnpackedImage; readonly ms: number }
  | { readonly state: "failed"; readonly error: unknown };

async function unpackOne(
  client: JobClient,
  request: UnpackRequest,
  progress: ProgressReporter,
  signal: AbortSignal,
): Promise<Outcome> {
  const { reference } = request;
  const operationId = freshOperationId();
  const startedMs = performance.now();
  progress.begin(reference);
  using cancellation = cancelOnAbort(client, operationId, signal);
  try {
    const onProgress = ({ layers }: UnpackProgress) => progress.update(reference, layers);
    const image = await client.unpack(request, { operationId, signal: cancellation.patience, onProgress });
    return { state: "unpacked", image, ms: performance.now() - startedMs };
  } catch (error) {
    return { state: "failed", error };
  }
}

/** How long a cancelled unpack is waited for: its worker takes down what it has made. */
const patienceMs = 15_000;

/** An accepted unpack would go on without its caller: `signal` has it cancelled, and ends `patience` some time later. */
function cancelOnAbort(client: JobClient, operationId: OperationId, signal: AbortSignal) {
  const giveUp = new Canceller();
  const endWaiting = () =>
    giveUp.cancel(new AbortReason("deadline", `the cancelled unpack did not end within ${patienceMs} ms`));
  let timer: Timer | undefined;
  const cancel = () => {
    timer = startTimer(patienceMs, endWaiting);
    const settled = { unpackOperationId: operationId, outcome: { kind: "cancelled" } } as const;
    client.call("settle-unpack", settled, { deadlineMs: patienceMs }).catch(endWaiting);
  };
  signal.addEventListener("abort", cancel, { once: true });
  return {
    patience: giveUp.signal,
    [Symbol.dispose]: () => {
      signal.removeEventListener("abort", cancel);
      timer?.[Symbol.dispose]();
    },
  };
}

async function report(outcome: Outcome, reference: string, json: true | undefined): Promise<void> {
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
