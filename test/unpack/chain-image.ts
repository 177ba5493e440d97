// Owns an image whose blobs nobody reads, for tests of a chain without a pool and a writer.
import { diffId, digest } from "../../src/domain/identifiers.ts";
import type { ImageLayer, ResolvedImage } from "../../src/images/image.ts";
import { sha256 } from "../support/images.ts";

/** The blob of layer N is `/blobs/N`, and 10 bytes long. */
export function imageOf(layerCount: number): ResolvedImage {
  const layers = Array.from({ length: layerCount }, (_, number): ImageLayer => {
    const hash = sha256(Buffer.from([number]));
    const blob = { path: `/blobs/${number}`, offsetBytes: number, lengthBytes: 10 };
    return { digest: digest(hash), diffId: diffId(hash), compression: "gzip", blob };
  });
  return {
    reference: "oci:/x:y",
    platform: "linux/amd64",
    manifestDigest: digest(sha256(Buffer.alloc(0))),
    layers,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
