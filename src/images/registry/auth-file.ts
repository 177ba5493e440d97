// Room: images. Owns the files that hold registries' credentials: their shape, and which of their entries fits.
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { failedPrecondition } from "../../domain/errors.ts";
import { isErrno } from "../../system/ffi/errno.ts";
import { dockerHub } from "./name.ts";

/** What authenticates a request to a registry or its token service. */
export type Credential =
  | { readonly kind: "basic"; readonly username: string; readonly password: string }
  /** A refresh token: the token service exchanges it for access tokens. */
  | { readonly kind: "identity"; readonly token: string }
  /** An access token for the registry itself. */
  | { readonly kind: "bearer"; readonly token: string };

const entry = z.object({
  auth: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  identitytoken: z.string().optional(),
  registrytoken: z.string().optional(),
});
type Entry = z.output<typeof entry>;

const authFile = z.object({
  auths: z.record(z.string(), entry).optional(),
  credHelpers: z.record(z.string(), z.string()).optional(),
  credsStore: z.string().optional(),
});
export type AuthFile = z.output<typeof authFile>;

/** Errors must not quote `text`: it holds secrets, or is a file of another kind. */
export function parseAuthFile(text: string, what: string): AuthFile {
  try {
    return authFile.parse(JSON.parse(text));
  } catch {
    throw failedPrecondition(`${what} is not a valid auth file; write it with 'skopeo login' or 'docker login'`);
  }
}

/** Undefined when there is no file at `path`. */
export async function readAuthFile(path: string): Promise<AuthFile | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
    throw failedPrecondition(`the auth file ${path} cannot be read (${code})`);
  }
  return parseAuthFile(text, `the auth file ${path}`);
}

const otherNamesOfHub = new Set(["index.docker.io", "registry-1.docker.io"]);

/** A key as `host[/path]`. Docker's own "https://index.docker.io/v1/" becomes "docker.io". */
function normalizedKey(key: string): string {
  const isUrl = /^https?:\/\//.test(key);
  const [host = "", ...path] = key
    .replace(/^https?:\/\//, "")
    .replace(/\/+$/, "")
    .split("/");
  const name = otherNamesOfHub.has(host) ? dockerHub : host;
  return isUrl || name !== host ? name : [name, ...path].join("/");
}

/** The value of the longest key that `host/repository` starts with. */
export function longestMatch<Value>(
  entries: Readonly<Record<string, Value>>,
  host: string,
  repository: string,
): Value | undefined {
  const wanted = `${normalizedKey(host)}/${repository}/`;
  let best: { readonly length: number; readonly value: Value } | undefined;
  for (const [key, value] of Object.entries(entries)) {
    const prefix = normalizedKey(key);
    if (wanted.startsWith(`${prefix}/`) && prefix.length > (best?.length ?? 0)) best = { length: prefix.length, value };
  }
  return best?.value;
}

function basicOf({ auth, username, password }: Entry): Credential | undefined {
  if (username && password !== undefined) return { kind: "basic", username, password };
  if (!auth) return undefined;
  const decoded = Buffer.from(auth, "base64").toString("utf8");
  const colon = decoded.indexOf(":");
  if (colon < 1) return undefined;
  // Docker pads the password with NULs.
  return { kind: "basic", username: decoded.slice(0, colon), password: decoded.slice(colon + 1).replace(/\0+$/, "") };
}

/** Undefined for an entry without a secret: Docker leaves one where a credential helper keeps the secret. */
export function credentialOf(found: Entry): Credential | undefined {
  if (found.identitytoken) return { kind: "identity", token: found.identitytoken };
  if (found.registrytoken) return { kind: "bearer", token: found.registrytoken };
  return basicOf(found);
}

/** The entries of `file` that hold a secret. */
export const withSecrets = ({ auths = {} }: AuthFile): Record<string, Credential> =>
  Object.fromEntries(
    Object.entries(auths).flatMap(([key, found]) => {
      const credential = credentialOf(found);
      return credential === undefined ? [] : [[key, credential] as const];
    }),
  );
