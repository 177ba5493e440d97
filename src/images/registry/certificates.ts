// Room: images. Owns the certificates of registries: trusted authorities besides the public ones, client certificates.
import { readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { rootCertificates } from "node:tls";
import { failedPrecondition } from "../../domain/errors.ts";
import { isErrno } from "../../system/ffi/errno.ts";

/** What `fetch` takes as `tls`. Empty: the public authorities, and no client certificate. */
export interface HostTls {
  readonly ca?: string[];
  readonly cert?: string;
  readonly key?: string;
  readonly rejectUnauthorized?: false;
}

/** The files of a certificate and its key. Without a key, the first file holds both. */
export type ClientPair = readonly [certificate: string, key: string | undefined];

/** The forms that hosts.toml allows: one file, a list of files, or a list of pairs. */
export const clientPairs = (client: string | readonly (string | readonly string[])[] | undefined): ClientPair[] =>
  [client ?? []].flat().map((entry): ClientPair => {
    const [certificate = "", key] = [entry].flat();
    return [certificate, key === "" ? undefined : key];
  });

async function readPem(path: string, what: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw failedPrecondition(
      `${what} ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  if (!text.includes("-----BEGIN ")) throw failedPrecondition(`${what} ${path} is not in PEM form`);
  return text;
}

export interface TlsFiles {
  /** Relative paths start here. */
  readonly directory: string;
  readonly ca: readonly string[];
  readonly client: readonly ClientPair[];
  readonly skipVerify: boolean;
}

/** Errors: failed_precondition for a file that is not there, is not PEM, or for several client certificates. */
export async function loadTls({ directory, ca, client, skipVerify }: TlsFiles): Promise<HostTls> {
  const authorities = await Promise.all(
    ca.map((path) => readPem(resolve(directory, path), "the certificate authority")),
  );
  const [pair, ...others] = client;
  if (others.length > 0) throw failedPrecondition(`${directory} has ${client.length} client certificates; keep one`);
  const own =
    pair === undefined
      ? {}
      : {
          cert: await readPem(resolve(directory, pair[0]), "the client certificate"),
          key: await readPem(resolve(directory, pair[1] ?? pair[0]), "the key of the client certificate"),
        };
  return {
    ...(authorities.length > 0 && { ca: [...rootCertificates, ...authorities] }),
    ...own,
    ...(skipVerify && { rejectUnauthorized: false as const }),
  };
}

/** In order; none where there is no such directory. */
async function namesIn(directory: string): Promise<string[]> {
  try {
    const names: string[] = await readdir(directory);
    return names.sort();
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return [];
    throw failedPrecondition(`${directory} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Docker's layout: `*.crt` are authorities, `NAME.cert` and `NAME.key` a pair. Undefined when there are none. */
export async function tlsOfDirectory(directory: string): Promise<HostTls | undefined> {
  const names = await namesIn(directory);
  const ca = names.filter((name) => name.endsWith(".crt"));
  const client = names
    .filter((name) => name.endsWith(".cert"))
    .map((name): ClientPair => [name, name.replace(/\.cert$/, ".key")]);
  if (ca.length === 0 && client.length === 0) return undefined;
  return loadTls({ directory, ca: ca.map((name) => join(directory, name)), client, skipVerify: false });
}
