// Room: cli. Owns `snapmill batch submit`: stores a batch in each pool.
import type { Command } from "commander";
import type { Overrides } from "../../config.ts";
import { type BatchId, freshBatchId } from "../../domain/identifiers.ts";
import type { RegistryOptions } from "../../domain/registry-options.ts";
import { notice, printJson, printLines, say } from "../output/output.ts";
import { withBatches } from "../pool/open.ts";
import type { BatchPool, Pool } from "../pool/pool.ts";
import { addBatchOptions, type BatchOptions, batchSettings } from "../support/batch-options.ts";
import { AlreadySaid, sentenceOf } from "../support/failures.ts";
import { tellHold } from "../support/held.ts";
import { referencesOf } from "../support/host-paths.ts";
import { catchInterruption } from "../support/interruption.ts";
import { examples, type JsonOption, jsonOption } from "../support/options.ts";
import { readReferences } from "../support/reference-list.ts";
import { addImageOptions, type ImageOptions, registryOptions } from "../support/registry-options.ts";
import { watchBatches } from "./batch-watch.ts";

export interface SubmitOptions extends ImageOptions, BatchOptions, JsonOption {
  readonly wait?: boolean;
}

export function addBatchSubmit(batch: Command): void {
  const submit = batch
    .command("submit")
    .description("store a list of images to unpack, and return; the pool's workers unpack them")
    .summary("submit a list of images to unpack")
    .argument("[file]", "one reference per line, '#' starts a comment; '-' or nothing: standard input", "-");
  addImageOptions(addBatchOptions(submit))
    .option("--wait", "wait for its end; the exit status is 0 only if every item is done or present")
    .addOption(jsonOption("the ID as one JSON object; with --wait, the result of the batch"))
    .addHelpText("after", whatHappens)
    .addHelpText(
      "after",
      examples(
        ["batch submit images.txt", "prints the batch's ID"],
        ["batch submit --wait --name nightly images.txt", "waits for its end"],
        ["batch submit --pool a --pool b images.txt", "into two pools of hosts that share a Redis"],
        ["batch export b-1f2e3d4c5b6a | snapmill batch submit", "what failed, again"],
      ),
    )
    .action(async (file: string, options: SubmitOptions, command: Command) => {
      await submitTo(command, readReferences(file, referencesOf(command)), options);
    });
}

const whatHappens = `
The batch is on the pool's disk before the command returns, and survives restarts and crashes. An image that the pool
already has is 'present'. --pool may be repeated: the batch has the same ID in each pool.`;

/** Submits to each of the command's pools, and prints the batch's ID. With --wait, also waits for its end. */
export async function submitTo(
  command: Command,
  references: readonly string[],
  options: SubmitOptions,
  overrides: Overrides = {},
): Promise<void> {
  const id = freshBatchId();
  using interruption = catchInterruption();
  const { signal } = interruption;
  const toWait = options.wait === true;
  await withBatches(command, { signal, overrides, toWait }, async (pools) => {
    for (const pool of pools) if ("queues" in pool) await tellHold(pool as Pool);
    const registry = registryOptions(command, options, id);
    await submitToEach(pools, id, references, { ...options, registry, signal });
    if (toWait) await watchBatches(pools, id, { json: options.json, signal });
  });
}

interface InterruptibleOptions extends SubmitOptions {
  readonly registry: RegistryOptions;
  readonly signal: AbortSignal;
}

/** Throws AlreadySaid if a pool did not accept the batch; the other pools have it then. */
async function submitToEach(
  pools: readonly BatchPool[],
  id: BatchId,
  references: readonly string[],
  options: InterruptibleOptions,
): Promise<void> {
  const failures: string[] = [];
  for (const pool of pools) {
    try {
      await submit(pool, id, references, options);
    } catch (error) {
      options.signal.throwIfAborted();
      if (pools.length === 1) throw error;
      failures.push(pool.name);
      say(sentenceOf(error) ?? "");
    }
  }
  if (failures.length > 0) notice(`batch ${id} is not in ${failures.join(", ")}`);
  if (failures.length < pools.length) await printId(id, options);
  if (failures.length > 0) throw new AlreadySaid();
}

/** As one JSON object, unless what the batch comes to follows as one. */
async function printId(id: BatchId, { json, wait }: SubmitOptions): Promise<void> {
  if (json !== true) await printLines([id]);
  else if (wait !== true) await printJson({ batch: id });
}

async function submit(
  pool: BatchPool,
  id: BatchId,
  references: readonly string[],
  options: InterruptibleOptions,
): Promise<void> {
  const items = references.map((reference) => ({ reference }));
  const given = {
    batch: id,
    items,
    platform: options.platform,
    registry: options.registry,
    ...batchSettings(options),
  };
  await pool.submitBatch(given, { signal: options.signal });
}
