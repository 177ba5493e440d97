// Room: service. Owns the operations on images.
import { z } from "zod";
import { unpackJobs } from "../jobs/contract.ts";
import { listImages } from "../metadata/images.ts";
import { operation } from "./operation.ts";

const image = unpackJobs.unpack.result.extend({ unpackedAtMs: z.number() });

/** The images that were unpacked, by reference; each with the committed snapshot that shows it. */
export const images = operation({ input: z.object({}), output: z.array(image) }, ({ database }) =>
  listImages(database()),
);
