// Room: api. Owns how images are told apart on pages, and where the page of one is.
import type { Output } from "../../../service/api.ts";

export type NamedImage = Output<"listImages">[number];

interface Identity {
  readonly manifestDigest: string;
  readonly platform: string;
}

/** The same for each name of an image. */
export const identityOf = ({ manifestDigest, platform }: Identity): string => `${manifestDigest} ${platform}`;

export const imageQuery = ({ manifestDigest: digest, platform }: Identity) => ({ digest, platform });
