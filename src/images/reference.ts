// Room: images. Owns image references: how they are written, and how they are made independent of the directory.
import { posix, resolve } from "node:path";
import { invalidArgument, type SnapmillError } from "../domain/errors.ts";

export const transports = ["oci", "oci-archive", "docker-archive"] as const;
export type Transport = (typeof transports)[number];

/** Which image of a layout or archive is meant. */
export type Selector =
  | { readonly by: "only" }
  | { readonly by: "tag"; readonly tag: string }
  | { readonly by: "index"; readonly index: number };

export interface ImageReference {
  readonly transport: Transport;
  readonly path: string;
  readonly selector: Selector;
}

const forms =
  "use oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME:TAG], with @N in place of a tag for the Nth image";

const refuse = (text: string, why: string): SnapmillError =>
  invalidArgument(`image reference ${JSON.stringify(text)}: ${why}; ${forms}`);

/** What the OCI specification allows as org.opencontainers.image.ref.name, with a limit. */
const tagPattern = /^[A-Za-z0-9]+(?:(?:[-._:@+/]|--)[A-Za-z0-9]+)*$/;
/** Repository, with a host and port in front perhaps, and tag: docker's grammar, read generously. */
const dockerNamePattern =
  /^[A-Za-z0-9][A-Za-z0-9._-]*(?::\d+(?=\/))?(?:\/[a-z0-9][a-z0-9._-]*)*(?::[A-Za-z0-9_][A-Za-z0-9_.-]*)?$/;
const maxTagLength = 512;

/**
 * A docker name in full: "busybox" is "docker.io/library/busybox:latest". Undefined for what is no such name, names with
 * a digest among them: an archive records only tags.
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

/** Files that are others in every process. */
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

function parseSelector(text: string, transport: Transport, tag: string | undefined): Selector {
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

/**
 * An image reference as skopeo writes it: the path ends at the first ':' behind the transport, so a path that contains
 * one cannot be named. Throws invalid_argument that shows the forms.
 */
export function parseReference(text: string): ImageReference {
  const colon = text.indexOf(":");
  const name = text.slice(0, Math.max(colon, 0));
  const transport = transports.find((candidate) => candidate === name);
  if (transport === undefined) {
    const isRegistry = text.startsWith("docker://");
    const copy = `skopeo copy ${text} oci:DIR:TAG`;
    throw refuse(
      text,
      isRegistry ? `registries are not read directly, copy the image first (${copy})` : "unknown transport",
    );
  }
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

export function formatReference({ transport, path, selector }: ImageReference): string {
  switch (selector.by) {
    case "only":
      return `${transport}:${path}`;
    case "tag":
      return `${transport}:${path}:${selector.tag}`;
    case "index":
      return `${transport}:${path}:@${selector.index}`;
  }
}

/** The same reference with its path made absolute from `directory`: a worker's directory is not its caller's. */
export function absoluteReference(text: string, directory: string): string {
  const reference = parseReference(text);
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
