// Room: images. Owns what an index says about one of its entries, which is untrusted until the entry is chosen.
import { quotedUnlessPlain } from "../domain/quoted.ts";
import { fieldsOf, textOf } from "./documents.ts";
import { normalizePlatform, type Platform } from "./platform.ts";

export const indexTypes = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
];
export const manifestTypes = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
];
export const configTypes = [
  "application/vnd.oci.image.config.v1+json",
  "application/vnd.docker.container.image.v1+json",
];

export interface IndexEntry {
  /** As in the index, not validated. */
  readonly value: unknown;
  /** Its place in the index. */
  readonly number: number;
  readonly mediaType: string;
  /** As it is written, valid or not. */
  readonly digest: string;
  readonly tags: readonly string[];
  /** Undefined when the index gives none; then only the configuration says it. */
  readonly platform: Platform | undefined;
  /** Whether the entry says that it is a signature, an attestation or the like. */
  readonly isArtifact: boolean;
}

/** Archives from docker's containerd image store have only the tag in ref.name, and the full name in another annotation. */
const tagAnnotations = ["org.opencontainers.image.ref.name", "io.containerd.image.name"];

const cosignKind = /^dev\.cosignproject\.cosign\/(?!image)/;

function platformOf(value: unknown): Platform | undefined {
  const { os, architecture, variant } = fieldsOf(value);
  if (textOf(os) === "" || textOf(architecture) === "") return undefined;
  return normalizePlatform(textOf(os), textOf(architecture), textOf(variant));
}

export function indexEntry(value: unknown, number: number): IndexEntry {
  const fields = fieldsOf(value);
  const annotations = fieldsOf(fields["annotations"]);
  const mediaType = textOf(fields["mediaType"]);
  const artifactType = textOf(fields["artifactType"]);
  return {
    value,
    number,
    mediaType,
    digest: textOf(fields["digest"]),
    tags: tagAnnotations.map((name) => textOf(annotations[name])).filter((tag) => tag !== ""),
    platform: platformOf(fields["platform"]),
    isArtifact:
      (mediaType !== "" && !indexTypes.includes(mediaType) && !manifestTypes.includes(mediaType)) ||
      (artifactType !== "" && !configTypes.includes(artifactType)) ||
      cosignKind.test(textOf(annotations["kind"])) ||
      textOf(annotations["vnd.docker.reference.type"]) !== "",
  };
}

/** For a message: its tag, or the number that selects it. */
export const nameOfEntry = ({ tags: [tag], number }: IndexEntry): string =>
  tag === undefined ? `@${number}` : quotedUnlessPlain(tag);
