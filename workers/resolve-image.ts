// Room: workers. Owns what an unpack worker tells of an image before it is unpacked: its layers, and what they will take.
import { type Config, paths } from "../src/config.ts";
import { AbortReason, Canceller } from "../src/domain/cancellation.ts";
import { startTimer } from "../src/domain/timers.ts";
import { chooseDriver, spaceSourcesOf } from "../src/drivers/open.ts";
import { isRemote, type LayerBlob, type ResolvedImage } from "../src/images/image.ts";
import { orHostPlatform } from "../src/images/platform.ts";
import type { Registries } from "../src/images/registry/registries.ts";
import { openImage } from "../src/images/resolve.ts";
import type { Payload, Result } from "../src/jobs/contract.ts";
import { compressionHistory } from "../src/metadata/compression.ts";
import type { Database } from "../src/metadata/database.ts";
import { committedLayerBytes } from "../src/metadata/layers.ts";
import { chainIdsOf } from "../src/unpack/chain.ts";
import { estimatedBytes, expansionOf, spareBytes } from "../src/unpack/spare-room.ts";

/** An image that cannot be resolved by then holds its worker no longer: unpacks wait for it. */
const resolveMs = 120_000;

interface Parts {
  readonly config: Config;
  readonly database: Database;
  readonly registries: Registries;
}

/** Resolves an image as its unpack would, and fetches no layer. Changes nothing. */
export async function resolveImage(
  { config, database, registries }: Parts,
  { reference, platform, registry = {} }: Payload<"resolve">,
  stopping: AbortSignal,
): Promise<Result<"resolve">> {
  const late = new Canceller();
  const reason = new AbortReason("deadline", `image ${reference}: not resolved within ${resolveMs / 1000} s`);
  using _timer = startTimer(resolveMs, () => late.cancel(reason));
  const signal = AbortSignal.any([stopping, late.signal]);
  await using image = await openImage(reference, orHostPlatform(platform), { signal, registries, registry });
  const poolDir = paths.poolDir(config);
  const sources = await spaceSourcesOf(chooseDriver(config.driver, poolDir), poolDir);
  return {
    image: image.reference,
    platform: image.platform,
    manifestDigest: image.manifestDigest,
    ...layersOf(image, database),
    spareBytes: await spareBytes(
      sources.map(({ source }) => source),
      config,
    ),
  };
}

function layersOf(
  image: ResolvedImage<LayerBlob>,
  database: Database,
): Pick<Result<"resolve">, "layers" | "expansion"> {
  const expansion = expansionOf(compressionHistory(database));
  const chainIds = chainIdsOf(image.layers);
  const layers = image.layers.map(({ digest, diffId, compression, blob }, index) => {
    const chainId = chainIds[index] as (typeof chainIds)[number];
    const isHeld = committedLayerBytes(database, chainId) !== undefined;
    return {
      digest,
      diffId,
      chainId,
      compressedBytes: blob.lengthBytes,
      isHeld,
      isRemote: isRemote(blob),
      estimatedBytes: isHeld ? 0 : estimatedBytes({ lengthBytes: blob.lengthBytes, compression }, expansion),
    };
  });
  return { layers, expansion };
}
