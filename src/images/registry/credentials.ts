// Room: images. Owns the search for a registry's credentials on this host, in the usual places.
import { hostname } from "node:os";
import { z } from "zod";
import { failedPrecondition, isSnapmillError } from "../../domain/errors.ts";
import { CommandError, runCommand } from "../../system/process/commands.ts";
import { type AuthFile, type Credential, longestMatch, parseAuthFile, readAuthFile, withSecrets } from "./auth-file.ts";
import { dockerHub } from "./name.ts";

export interface CredentialSources {
  /** Asked for by name: it must be there, and nothing else is searched. */
  readonly authFile: string | undefined;
  /** The content of DOCKER_AUTH_CONFIG, which goes before all files. */
  readonly inline: string | undefined;
  /** Files that may be there, the first that has something counts. */
  readonly files: readonly string[];
}

/** How long a program that keeps secrets may take: it might ask a service in the network. */
const programTimeoutMs = 15_000;
/** What such programs answer for a server that they do not know. */
const unknownServer = /credentials not found/i;

const answer = z.object({ Username: z.string(), Secret: z.string() });

/** What Docker calls a registry when it speaks to such a program. */
const serverOf = (host: string): string =>
  host === dockerHub || host === "registry-1.docker.io" ? "https://index.docker.io/v1/" : host;

/**
 * Asks `docker-credential-NAME` (github.com/docker/docker-credential-helpers) for the secret of `host`. What it prints
 * stays out of every error: it is the secret. Errors: failed_precondition.
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

/** A program for this registry goes before the one for all, and both before what the file holds itself. */
async function findIn(file: AuthFile, host: string, repository: string, signal: AbortSignal | undefined) {
  const forHost = longestMatch(file.credHelpers ?? {}, host, repository);
  for (const program of new Set([forHost, file.credsStore])) {
    const found = program ? await askProgram(program, host, signal) : undefined;
    if (found !== undefined) return found;
  }
  return longestMatch(withSecrets(file), host, repository);
}

/**
 * The file that was asked for by name. Read before anything is fetched: a registry that wants no credentials would hide
 * that it is missing. Errors: failed_precondition when it is not there, cannot be read, or is not valid.
 */
export async function requireAuthFile(path: string): Promise<AuthFile> {
  const file = await readAuthFile(path);
  if (file !== undefined) return file;
  throw failedPrecondition(
    `there is no auth file ${path} on ${hostname()}, the pool's host: --authfile names a file there`,
  );
}

/**
 * The credential for `repository` at `host`; of several entries the one with the longest path counts. Undefined: it is
 * asked without one. Errors: failed_precondition for a file or program that is wrong, without a word of what it holds.
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
