// Room: images. Owns the lookup of a registry's credentials on this host, in the places that docker and podman use.
import { hostname } from "node:os";
import { z } from "zod";
import { failedPrecondition, isSnapmillError } from "../../domain/errors.ts";
import { CommandError, runCommand } from "../../system/process/commands.ts";
import { type AuthFile, type Credential, longestMatch, parseAuthFile, readAuthFile, withSecrets } from "./auth-file.ts";
import { dockerHub } from "./name.ts";

export interface CredentialSources {
  /** Named by the caller: it must exist, and nothing else is searched. */
  readonly authFile: string | undefined;
  /** The content of DOCKER_AUTH_CONFIG: searched before all files. */
  readonly inline: string | undefined;
  /** Searched in order; none needs to exist. The first with an entry counts. */
  readonly files: readonly string[];
}

/** The time limit of a credential helper: it may ask a service on the network. */
const programTimeoutMs = 15_000;
/** What credential helpers answer for an unknown server. */
const unknownServer = /credentials not found/i;

const answer = z.object({ Username: z.string(), Secret: z.string() });

/** The name by which Docker asks a credential helper for a registry. */
const serverOf = (host: string): string =>
  host === dockerHub || host === "registry-1.docker.io" ? "https://index.docker.io/v1/" : host;

/**
 * Asks `docker-credential-NAME` (github.com/docker/docker-credential-helpers) for the secret of `host`. Errors
 * (failed_precondition) never quote its output, which is the secret.
 */
async function askProgram(
  name: string,
  host: string,
  signal: AbortSignal | undefined,
): Promise<Credential | undefined> {
  const program = `docker-credential-${name}`;
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name))
    throw failedPrecondition(`${JSON.stringify(program)} is not a program's name`);
  const input = serverOf(host);
  try {
    const { stdout } = await runCommand(program, ["get"], { input, timeoutMs: programTimeoutMs, signal });
    const { Username: username, Secret: secret } = answer.parse(JSON.parse(stdout));
    if (secret === "") return undefined;
    return username === "<token>" ? { kind: "identity", token: secret } : { kind: "basic", username, password: secret };
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof CommandError) {
      if (unknownServer.test(error.message)) return undefined;
      throw failedPrecondition(`${program} failed for ${host} (exit status ${error.exitCode ?? "unknown"})`);
    }
    if (isSnapmillError(error)) throw failedPrecondition(`no credentials for ${host}: ${error.message}`);
    throw failedPrecondition(`${program} gave no valid answer for ${host}`);
  }
}

/** In order: this registry's credential helper, the helper for all registries, the file's own entries. */
async function findIn(file: AuthFile, host: string, repository: string, signal: AbortSignal | undefined) {
  const forHost = longestMatch(file.credHelpers ?? {}, host, repository);
  for (const program of new Set([forHost, file.credsStore])) {
    const found = program ? await askProgram(program, host, signal) : undefined;
    if (found !== undefined) return found;
  }
  return longestMatch(withSecrets(file), host, repository);
}

/**
 * The auth file that the caller named. It is read before the first request: a registry that asks for no credentials
 * would hide that it is missing. Errors: failed_precondition when it does not exist, cannot be read, or is not valid.
 */
export async function requireAuthFile(path: string): Promise<AuthFile> {
  const file = await readAuthFile(path);
  if (file !== undefined) return file;
  throw failedPrecondition(
    `there is no auth file ${path} on ${hostname()}, the pool's host: --authfile names a file there`,
  );
}

/**
 * The credential for `repository` at `host`: of several entries, the one with the longest path. Undefined: there is
 * none. Errors: failed_precondition for a file or helper that is wrong, without quoting it.
 */
export async function findCredential(
  { authFile, inline, files }: CredentialSources,
  host: string,
  repository: string,
  signal?: AbortSignal,
): Promise<Credential | undefined> {
  if (authFile !== undefined) {
    return findIn(await requireAuthFile(authFile), host, repository, signal);
  }
  if (inline !== undefined) {
    const found = await findIn(parseAuthFile(inline, "DOCKER_AUTH_CONFIG"), host, repository, signal);
    if (found !== undefined) return found;
  }
  for (const path of files) {
    const file = await readAuthFile(path);
    const found = file === undefined ? undefined : await findIn(file, host, repository, signal);
    if (found !== undefined) return found;
  }
  return undefined;
}
