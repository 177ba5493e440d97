// Room: images. Owns where a registry is reached: containerd's certs.d/HOST/hosts.toml, and the default without one.
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { z } from "zod";
import { failedPrecondition } from "../../domain/errors.ts";
import { isErrno } from "../../system/ffi/errno.ts";
import { clientPairs, type HostTls, loadTls, tlsOfDirectory } from "./certificates.ts";
import { dockerHub } from "./name.ts";

const capabilities = ["pull", "resolve", "push"] as const;
export type Capability = (typeof capabilities)[number];

/** One place that serves a registry's images: a mirror, or the registry itself. */
export interface RegistryHost {
  /** `host[:port]`, by which credentials are looked up, and which errors name. */
  readonly name: string;
  /** Without a slash at its end: "https://registry.example:5000/v2". */
  readonly baseUrl: string;
  readonly capabilities: ReadonlySet<Capability>;
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: HostTls;
  /** The registry whose mirror this is, sent as `?ns=`; undefined for the registry itself. */
  readonly namespace: string | undefined;
}

export interface HostOptions {
  /** Searched in order; the first that knows the registry counts. */
  readonly certsDirs: readonly string[];
  /** Uses HTTP where no hosts.toml says otherwise. */
  readonly plainHttp: boolean;
}

const texts = z.union([z.string(), z.array(z.string())]).transform((value) => [value].flat());

const hostFields = {
  capabilities: z.array(z.enum(capabilities)).optional(),
  ca: texts.optional(),
  client: z.union([z.string(), z.array(z.union([z.string(), z.array(z.string())]))]).optional(),
  skip_verify: z.boolean().optional(),
  header: z.record(z.string(), texts).optional(),
  override_path: z.boolean().optional(),
};
const hostTable = z.object(hostFields);
const hostsFile = z.object({
  ...hostFields,
  server: z.string().optional(),
  host: z.record(z.string(), hostTable).optional(),
});
type HostTable = z.output<typeof hostTable>;

/** As containerd names a registry's directory: `host_5000_` besides `host:5000`, and `_default` for all others. */
function directoriesOf(certsDirs: readonly string[], registry: string): string[] {
  const colon = registry.lastIndexOf(":");
  const names = colon > 0 ? [`${registry.slice(0, colon)}_${registry.slice(colon + 1)}_`, registry] : [registry];
  return certsDirs.flatMap((root) => [...names, "_default"].map((name) => resolve(root, name)));
}

/** Undefined when there is no such file. */
async function readHostsFile(path: string): Promise<z.output<typeof hostsFile> | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw failedPrecondition(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  try {
    return hostsFile.parse(Bun.TOML.parse(text));
  } catch (error) {
    const [issue] = error instanceof z.ZodError ? error.issues : [];
    const why = issue === undefined ? String(error) : `${issue.path.join(".")}: ${issue.message}`;
    throw failedPrecondition(`${path} is not a valid hosts.toml (${why}); correct it`);
  }
}

/** Docker Hub's API has another host name. */
const apiHostOf = (registry: string): string => (registry === dockerHub ? "registry-1.docker.io" : registry);

function defaultHost(registry: string, plainHttp: boolean, tls: HostTls): RegistryHost {
  const name = apiHostOf(registry);
  return {
    name,
    baseUrl: `${plainHttp ? "http" : "https"}://${name}/v2`,
    capabilities: new Set(capabilities),
    headers: {},
    tls,
    namespace: undefined,
  };
}

/** A host of a hosts.toml: an URL, with https:// understood where there is no scheme. */
async function hostOf(url: string, table: HostTable, registry: string, directory: string): Promise<RegistryHost> {
  const path = join(directory, "hosts.toml");
  const full = url.includes("://") ? url : `https://${url}`;
  if (!URL.canParse(full) || !/^https?:$/.test(new URL(full).protocol)) {
    throw failedPrecondition(
      `${path} names the host ${JSON.stringify(url)}, which is no http or https URL; correct it`,
    );
  }
  const parsed = new URL(full);
  if (parsed.username !== "" || parsed.password !== "") {
    throw failedPrecondition(`${path} has credentials in an URL; keep them in an auth file`);
  }
  const root = parsed.pathname.replace(/\/+$/, "");
  const headers = Object.entries(table.header ?? {}).map(([name, values]) => [name, values.join(", ")] as const);
  const name = parsed.host;
  return {
    name,
    baseUrl: parsed.origin + (table.override_path === true ? root : `${root}/v2`.replace(/\/v2\/v2$/, "/v2")),
    capabilities: new Set(table.capabilities ?? capabilities),
    headers: Object.fromEntries(headers),
    tls: await loadTls({
      directory,
      ca: table.ca ?? [],
      client: clientPairs(table.client),
      skipVerify: table.skip_verify === true,
    }),
    namespace: name === apiHostOf(registry) ? undefined : registry,
  };
}

/**
 * Where `registry` is reached, in the order in which the hosts are asked: those of its hosts.toml, then that file's
 * `server`, which is the registry itself when it names none. A directory without hosts.toml may hold certificates, as
 * Docker has them. Errors: failed_precondition for a file that is wrong.
 */
export async function hostsOf(registry: string, { certsDirs, plainHttp }: HostOptions): Promise<RegistryHost[]> {
  for (const directory of directoriesOf(certsDirs, registry)) {
    const file = await readHostsFile(join(directory, "hosts.toml"));
    if (file !== undefined) {
      const { server, host = {}, ...fields } = file;
      const mirrors: RegistryHost[] = [];
      for (const [url, table] of Object.entries(host)) mirrors.push(await hostOf(url, table, registry, directory));
      const origin = server ?? `${plainHttp ? "http" : "https"}://${apiHostOf(registry)}`;
      return [...mirrors, await hostOf(origin, fields, registry, directory)];
    }
    const tls = await tlsOfDirectory(directory);
    if (tls !== undefined) return [defaultHost(registry, plainHttp, tls)];
  }
  return [defaultHost(registry, plainHttp, {})];
}
