// Room: images. Owns image references: their grammar, and their full form, which is independent of the current directory.
import { posix, resolve } from "node:path";
import { invalidArgument, type SnapmillError } from "../domain/errors.ts";
import { formatRegistryName, parseRegistryName, type RegistryName } from "./registry/name.ts";

const fileTransports = ["oci", "oci-archive", "docker-archive"] as const;
export type FileTransport = (typeof fileTransports)[number];

/** Which image of a layout or archive is meant. */
export type Selector =
  | { readonly by: "only" }
  | { readonly by: "tag"; readonly tag: string }
  | { readonly by: "index"; readonly index: number };

/** An image in files of this host. */
export interface FileReference {
  readonly transport: FileTransport;
  readonly path: string;
  readonly selector: Selector;
}

export type ImageReference = FileReference | { readonly transport: "docker"; readonly name: RegistryName };

const forms =
  "use docker://HOST/REPOSITORY[:TAG][@DIGEST] or a bare NAME[:TAG] as docker reads it, or oci:DIR[:TAG], " +
  "oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME:TAG], with @N in place of a tag for the Nth image";

/** Of a text that is no reference, so much is repeated: it may be a file that was taken for a list. */
const shownCharacters = 200;

const shown = (text: string): string =>
  text.length <= shownCharacters ? text : `${text.slice(0, shownCharacters)}… (${text.length} characters)`;

const refuse = (text: string, why: string): SnapmillError =>
  invalidArgument(`image reference ${JSON.stringify(shown(text))}: ${why}; ${forms}`);

/** What the OCI specification allows as org.opencontainers.image.ref.name, with a limit. */
const tagPattern = /^[A-Za-z0-9]+(?:(?:[-._:@+/]|--)[A-Za-z0-9]+)*$/;
/** Repository, optionally with host and port, and tag: docker's grammar, applied leniently. */
const dockerNamePattern =
  /^[A-Za-z0-9][A-Za-z0-9._-]*(?::\d+(?=\/))?(?:\/[a-z0-9][a-z0-9._-]*)*(?::[A-Za-z0-9_][A-Za-z0-9_.-]*)?$/;
const maxTagLength = 512;

/**
 * A docker name in full: "busybox" is "docker.io/library/busybox:latest". Undefined for anything else, also for a name
 * with a digest: an archive records only tags.
 */
export function fullDockerName(name: string): string | undefined {
  if (name.length > maxTagLength || !dockerNamePattern.test(name)) return undefined;
  const slash = name.indexOf("/");
  const host = slash === -1 ? "" : name.slice(0, slash);
  const hasHost = host.includes(".") || host.includes(":") || host === "localhost" || host !== host.toLowerCase();
  const withHost = hasHost ? name : `docker.io/${name}`;
  const canonical = withHost.replace(/^index\.docker\.io\//, "docker.io/");
  const full = canonical.replace(/^docker\.io\/(?=[^/]+$)/, "docker.io/library/");
  return full.lastIndexOf(":") > full.lastIndexOf("/") ? full : `${full}:latest`;
}

/** Paths that mean another file in every process. */
const ownFiles = /^\/(?:dev\/(?:stdin|stdout|stderr|fd)|proc\/(?:self|thread-self))(?:\/|$)/;

/**
 * A worker opens the file, not the command that was called: the command's standard input, or the pipe that a shell makes
 * for `<(…)`, is not the worker's. An archive is also read more than once, and what reads it may be started again.
 */
function refuseOwnFiles(text: string, path: string): void {
  if (path !== "-" && !ownFiles.test(posix.normalize(path))) return;
  throw invalidArgument(
    `image reference ${JSON.stringify(text)}: ${path === "-" ? "standard input" : path} cannot be read, because another ` +
      "process opens the file: write the archive into a file first (docker save -o FILE IMAGE)",
  );
}

function parseSelector(text: string, transport: FileTransport, tag: string | undefined): Selector {
  if (tag === undefined) return { by: "only" };
  if (tag === "") throw refuse(text, "there is nothing after the last ':'");
  if (tag.startsWith("@")) {
    if (!/^@\d{1,6}$/.test(tag)) throw refuse(text, `${JSON.stringify(tag)} is not @ and a number`);
    return { by: "index", index: Number(tag.slice(1)) };
  }
  if (transport === "docker-archive") {
    if (fullDockerName(tag) === undefined) throw refuse(text, `${JSON.stringify(tag)} is not a NAME[:TAG]`);
  } else if (tag.length > maxTagLength || !tagPattern.test(tag)) {
    throw refuse(
      text,
      `${JSON.stringify(tag)} is not a tag (a path that contains ':' cannot be named: use a symbolic link)`,
    );
  }
  return { by: "tag", tag };
}

/** What skopeo reads from and this program does not; as a bare name it would be an image of Docker Hub. */
const otherTransports =
  /^(?:dir|docker-daemon|containers-storage|ostree|sif|tarball|https?|[a-z][a-z0-9+.-]*(?=:\/\/)):/;

/** Refuses a reference with a password, which would appear in the queue and in logs; the message does not repeat it. */
const withPassword = /^(?:[^/]*:\/\/[^/]*|[^/@]*:[^/@]*)@(?!sha\d+:)/;

/** Matches a path, which neither a tag nor a port with a repository can be. */
const pathPattern = /^(?:[./~]|(?!\d+\/)[^@]*\/|.*\.(?:tar|tgz|tar\.(?:gz|xz|zst|bz2))$)/;
/** From this length on, a word that is almost a transport's name is a misspelling of it. */
const longTransportLength = 8;

/** Whether at most one edit of a letter, or two in a long word, turns `given` into `wanted`. */
function isNearMiss(given: string, wanted: string): boolean {
  const mostEdits = wanted.length >= longTransportLength ? 2 : 1;
  let above = Array.from({ length: wanted.length + 1 }, (_, index) => index);
  for (const [row, letter] of Array.from(given).entries()) {
    const current = [row + 1];
    for (const [column, other] of Array.from(wanted).entries()) {
      const replaced = (above[column] ?? 0) + (letter === other ? 0 : 1);
      current.push(Math.min(replaced, (above[column + 1] ?? 0) + 1, (current[column] ?? 0) + 1));
    }
    above = current;
  }
  return (above[wanted.length] ?? 0) <= mostEdits;
}

/** A mistyped transport would be read as an image's name, or as a host. */
function refuseMistypedTransport(text: string): void {
  const [, name, rest] = /^([A-Za-z][A-Za-z-]{0,30}):(.*)$/s.exec(text) ?? [];
  if (name === undefined || rest === undefined) return;
  const isPath = pathPattern.test(rest);
  const meant = [...fileTransports, "docker"].find(
    (transport) =>
      name !== transport &&
      isNearMiss(name.toLowerCase(), transport) &&
      (isPath || transport.length >= longTransportLength),
  );
  if (meant === undefined && !/^[./~]/.test(rest)) return;
  const hint = meant === undefined ? "" : ` (${meant}: may be meant)`;
  throw refuse(text, `unknown transport ${JSON.stringify(name)}${hint}`);
}

function parseRegistryReference(text: string): ImageReference {
  const isExplicit = text.startsWith("docker://");
  if (withPassword.test(text)) {
    throw invalidArgument(
      "an image reference holds no credentials: keep them in an auth file (docker login, --authfile)",
    );
  }
  if (!isExplicit && /^[./]/.test(text)) {
    throw refuse(text, `a path needs a transport in front of it, such as oci:${text} for a directory`);
  }
  if (/^https?:/.test(text)) {
    const option = text.startsWith("http:") ? ", and the option --plain-http" : "";
    throw refuse(text, `a registry's image begins with docker://, not with the URL's scheme${option}`);
  }
  if (!isExplicit) {
    refuseMistypedTransport(text);
    if (otherTransports.test(text)) throw refuse(text, "unknown transport");
  }
  const name = parseRegistryName(isExplicit ? text.slice("docker://".length) : text);
  if (typeof name === "string") throw refuse(text, name);
  return { transport: "docker", name };
}

/**
 * An image reference as skopeo writes it, or a bare name as docker reads it. A path ends at the first ':' behind the
 * transport, so a path that contains one cannot be named. Throws invalid_argument that shows the forms.
 */
export function parseReference(text: string): ImageReference {
  const colon = text.indexOf(":");
  const name = text.slice(0, Math.max(colon, 0));
  const transport = fileTransports.find((candidate) => candidate === name);
  if (transport === undefined) return parseRegistryReference(text);
  const rest = text.slice(colon + 1);
  const second = rest.indexOf(":");
  const path = second === -1 ? rest : rest.slice(0, second);
  if (path === "") throw refuse(text, "the path is missing");
  if (path.includes("\0")) throw refuse(text, "the path contains a NUL character");
  refuseOwnFiles(text, path);
  return {
    transport,
    path,
    selector: parseSelector(text, transport, second === -1 ? undefined : rest.slice(second + 1)),
  };
}

export function formatReference(reference: ImageReference): string {
  if (reference.transport === "docker") return `docker://${formatRegistryName(reference.name)}`;
  const { transport, path, selector } = reference;
  switch (selector.by) {
    case "only":
      return `${transport}:${path}`;
    case "tag":
      return `${transport}:${path}:${selector.tag}`;
    case "index":
      return `${transport}:${path}:@${selector.index}`;
  }
}

/**
 * The same reference in full: with its path made absolute from `directory`, since a worker's directory is not its caller's;
 * with registry and tag when it was a bare name.
 */
export function absoluteReference(text: string, directory: string): string {
  const reference = parseReference(text);
  if (reference.transport === "docker") return formatReference(reference);
  const path = resolve(directory, reference.path);
  if (path.includes(":")) {
    throw refuse(
      text,
      `its absolute path ${path} contains ':', which a reference cannot express: use a symbolic link elsewhere`,
    );
  }
  refuseOwnFiles(text, path);
  return formatReference({ ...reference, path });
}
