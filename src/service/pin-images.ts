// Room: service. Owns pinning: nothing removes a pinned image until it is unpinned.
import { z } from "zod";
import { jobs } from "../jobs/contract.ts";
import { imageSelection, imagesMeant } from "./image-targets.ts";
import { operation } from "./operation.ts";
import { partOf } from "./part-of.ts";
import type { CallOptions, Service } from "./service.ts";

const pinned = z.object({ images: jobs["pin-images"].payload.shape.images });

const pinOperation = (isPinned: boolean) =>
  operation(
    { input: imageSelection, output: pinned, recovery: "repeated" },
    async (service: Pick<Service, "database" | "change">, selection, options?: CallOptions) => {
      const images = imagesMeant(service, selection).map(({ manifestDigest, platform }) => ({
        manifestDigest,
        platform,
      }));
      await service.change("pin-images", { images, isPinned }, partOf(options, images));
      return { images };
    },
  );

/** Pins all images that match the targets, or none. Throws what `resolveTargets` and the job throw. */
export const pinImages = pinOperation(true);
export const unpinImages = pinOperation(false);
