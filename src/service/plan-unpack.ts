// Room: service. Owns the plan of an unpack: what would be fetched and written, and whether the pool has room for it.
import { z } from "zod";
import { asSnapmillError, errorCodes } from "../domain/errors.ts";
import { jobs, type ResolvedImageReport } from "../jobs/contract.ts";
import { operation } from "./operation.ts";
import type { Ending, PoolService } from "./service.ts";

const request = jobs.unpack.payload.pick({ platform: true, registry: true });
const expansion = jobs.resolve.result.shape.expansion;

const totals = {
  layers: z.number(),
  /** Layers that are already in the pool. */
  heldLayers: z.number(),
  compressedBytes: z.number(),
  /** Compressed size of the layers in the pool, which are not fetched. */
  heldBytes: z.number(),
  /** What would be fetched from registries. */
  fetchBytes: z.number(),
  /** An estimate of the space that the new layers would take in the pool: see `expansion`. */
  estimatedBytes: z.number(),
};

const plannedImage = z.object({
  reference: z.string(),
  platform: z.string(),
  manifestDigest: jobs.resolve.result.shape.manifestDigest,
  ...totals,
});
const unresolvedImage = z.object({ reference: z.string(), code: z.enum(errorCodes), message: z.string() });

const plan = z.object({
  images: z.array(plannedImage).readonly(),
  failed: z.array(unresolvedImage).readonly(),
  /** Layers and blobs that several images share count once. */
  together: z.object(totals),
  expansion: expansion.nullable(),
  /** The space that new layers may take; null: no image could be resolved. */
  spareBytes: z.number().nullable(),
  fits: z.boolean(),
});
export type PlannedImage = z.input<typeof plannedImage>;
export type UnresolvedImage = z.input<typeof unresolvedImage>;
export type UnpackPlan = z.input<typeof plan>;

export interface PlanOptions extends Ending {
  /** Called for each image once it is resolved or has failed, in the order of the references. */
  readonly onImage?: (outcome: PlannedImage | UnresolvedImage) => Promise<void>;
}

/** The number of images that are resolved at the same time. */
const atOnce = 8;

type Outcome = ResolvedImageReport | UnresolvedImage;
const isResolved = (outcome: Outcome): outcome is ResolvedImageReport => "layers" in outcome;

/**
 * Resolves images on the pool's host without fetching layers. An image that cannot be resolved does not stop the
 * others.
 */
export const planUnpack = operation(
  { input: request.extend({ references: z.array(z.string()).readonly() }), output: plan, recovery: "repeated" },
  async (
    service: PoolService,
    { references, platform, registry },
    { signal, onImage }: PlanOptions = {},
  ): Promise<UnpackPlan> => {
    const client = await service.client(signal);
    const resolve = async (reference: string): Promise<Outcome> => {
      try {
        return await client.resolve({ reference, platform, registry }, { signal });
      } catch (error) {
        const { code, message } = asSnapmillError(error);
        return { reference, code, message };
      }
    };
    const outcomes: Outcome[] = [];
    for await (const outcome of inOrder(references, resolve)) {
      signal?.throwIfAborted();
      outcomes.push(outcome);
      await onImage?.(isResolved(outcome) ? planned(outcome) : outcome);
    }
    const resolved = outcomes.filter(isResolved);
    const together = totalsOf(resolved.flatMap(({ layers }) => layers));
    const spareBytes = resolved.length === 0 ? null : Math.min(...resolved.map((image) => image.spareBytes));
    return {
      images: resolved.map(planned),
      failed: outcomes.filter((outcome): outcome is UnresolvedImage => !isResolved(outcome)),
      together,
      expansion: resolved.at(-1)?.expansion ?? null,
      spareBytes,
      fits: spareBytes !== null && together.estimatedBytes <= spareBytes,
    };
  },
);

const planned = ({ image, platform, manifestDigest, layers }: ResolvedImageReport): PlannedImage => ({
  reference: image,
  platform,
  manifestDigest,
  ...totalsOf(layers),
});

type Layers = ResolvedImageReport["layers"];

/** A chain ID is unpacked once and a blob is fetched once, no matter how many images share it. */
function totalsOf(layers: Layers): z.input<z.ZodObject<typeof totals>> {
  const chains = [...new Map(layers.map((layer) => [layer.chainId, layer])).values()];
  const held = chains.filter(({ isHeld }) => isHeld);
  const fetched = chains.filter(({ isHeld, isRemote }) => !isHeld && isRemote);
  const blobs = [...new Map(fetched.map((layer) => [layer.digest, layer])).values()];
  return {
    layers: chains.length,
    heldLayers: held.length,
    compressedBytes: sum(chains, "compressedBytes"),
    heldBytes: sum(held, "compressedBytes"),
    fetchBytes: sum(blobs, "compressedBytes"),
    estimatedBytes: sum(chains, "estimatedBytes"),
  };
}

const sum = (layers: Layers, field: "compressedBytes" | "estimatedBytes"): number =>
  layers.reduce((total, layer) => total + layer[field], 0);

/** Yields the results of `work` in the order of the items; a few run at the same time. */
async function* inOrder<Item, Result>(items: readonly Item[], work: (item: Item) => Promise<Result>) {
  const waiting = items.values();
  const begun: Promise<Result>[] = [];
  const begin = () => {
    const next = waiting.next();
    if (next.done !== true) begun.push(work(next.value));
  };
  for (let slot = 0; slot < atOnce; slot += 1) begin();
  for (let first = begun.shift(); first !== undefined; first = begun.shift()) {
    yield await first;
    begin();
  }
}
