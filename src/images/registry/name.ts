// Room: images. Owns the names of images in registries, as Docker reads them: registry, repository, tag and digest.
import { type Digest, digest } from "../../domain/identifiers.ts";

export interface RegistryName {
  /** `host[:port]`; "docker.io" for Docker Hub, whose API is at another host. */
  readonly registry: string;
  readonly repository: string;
  /** Undefined when only a digest is given. */
  readonly tag: string | undefined;
  readonly digest: Digest | undefined;
}

export const dockerHub = "docker.io";
const maxNameLength = 255;

/** Grammar: the package `reference` of github.com/distribution. */
const label = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?";
const registryPattern = new RegExp(`^(?:${label}(?:\\.${label})*|\\[[0-9a-fA-F:]+\\])(?::[0-9]{1,5})?$`);
const repositoryPattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/** The first component is a registry if it cannot be a namespace of Docker Hub. */
const isRegistry = (component: string): boolean =>
  /[.:]/.test(component) || component === "localhost" || component !== component.toLowerCase();

function splitRegistry(name: string): readonly [registry: string, repository: string] {
  const slash = name.indexOf("/");
  const first = name.slice(0, Math.max(slash, 0));
  const [registry, rest] = isRegistry(first) ? [first, name.slice(slash + 1)] : [dockerHub, name];
  if (registry !== dockerHub && registry !== "index.docker.io") return [registry, rest];
  return [dockerHub, rest.includes("/") ? rest : `library/${rest}`];
}

function splitOff(text: string, at: number): readonly [before: string, after: string | undefined] {
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

/**
 * The parts of `text` (`[HOST[:PORT]/]REPOSITORY[:TAG][@DIGEST]`), or a sentence that says why there are none. Docker Hub
 * and its `library` are filled in, and the tag `latest` where neither tag nor digest is given.
 */
export function parseRegistryName(text: string): RegistryName | string {
  const [tagged, digestText] = splitOff(text, text.indexOf("@"));
  const colon = tagged.lastIndexOf(":");
  const [name, tag] = splitOff(tagged, colon > tagged.lastIndexOf("/") ? colon : -1);
  const [registry, repository] = splitRegistry(name);
  if (!registryPattern.test(registry)) return `${JSON.stringify(registry)} is not a registry's host[:port]`;
  if (!repositoryPattern.test(repository)) {
    return `${JSON.stringify(repository)} is not a repository's name (lower-case letters, digits, '.', '_', '-' and '/')`;
  }
  if (name.length > maxNameLength) return `its name has more than ${maxNameLength} characters`;
  if (/^[0-9a-f]{64}$/.test(name)) return "64 hex digits alone are an image's ID, which no registry knows";
  if (tag !== undefined && !tagPattern.test(tag)) return `${JSON.stringify(tag)} is not a tag`;
  if (digestText !== undefined && !/^sha256:[0-9a-f]{64}$/.test(digestText)) {
    return `${JSON.stringify(digestText)} is not a digest; only sha256:<64 hex digits> is supported`;
  }
  return {
    registry,
    repository,
    tag: tag ?? (digestText === undefined ? "latest" : undefined),
    digest: digestText === undefined ? undefined : digest(digestText),
  };
}

/** In full: `docker.io/library/alpine:latest`. */
export function formatRegistryName({ registry, repository, tag, digest: pinned }: RegistryName): string {
  return `${registry}/${repository}${tag === undefined ? "" : `:${tag}`}${pinned === undefined ? "" : `@${pinned}`}`;
}
