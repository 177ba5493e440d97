// Room: test. Owns a private registry: Debian's docker-registry on a loopback port, and the log of its requests.
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { freePort } from "./ports.ts";
import { until } from "./until.ts";

export const registryPrograms = ["docker-registry", "skopeo"] as const;

/** How a registry is reached and authenticated; default: over plain HTTP, without authentication. */
export interface RegistryOptions {
  /** Serves the images of the registry that was started on this directory. Default: its own. */
  readonly storage?: string;
  readonly tls?: { readonly certificate: string; readonly key: string; readonly clientAuthority?: string };
  /** File of users and the bcrypt hashes of their passwords. */
  readonly htpasswd?: string;
  readonly token?: {
    readonly realm: string;
    readonly service: string;
    readonly issuer: string;
    readonly rootcertbundle: string;
  };
}

function configuration(directory: string, host: string, { storage, tls, htpasswd, token }: RegistryOptions): string {
  const clientCas = tls?.clientAuthority === undefined ? [] : [tls.clientAuthority];
  // YAML includes JSON.
  return JSON.stringify({
    version: "0.1",
    log: { level: "info", accesslog: { disabled: false } },
    storage: {
      filesystem: { rootdirectory: join(storage ?? directory, "blobs") },
      cache: { blobdescriptor: "inmemory" },
    },
    http: {
      addr: host,
      secret: "test",
      ...(tls && {
        tls: { certificate: tls.certificate, key: tls.key, ...(clientCas.length > 0 && { clientcas: clientCas }) },
      }),
    },
    ...(htpasswd && { auth: { htpasswd: { realm: "test", path: htpasswd } } }),
    ...(token && { auth: { token } }),
  });
}

/** Disposing of it ends the process; the caller removes its directory. */
export class Registry implements AsyncDisposable {
  /** `127.0.0.1:<port>`: containerd speaks plain HTTP to a registry at such an address. */
  readonly host: string;
  readonly #log: string;
  readonly #process: Bun.Subprocess;

  private constructor(host: string, log: string, process: Bun.Subprocess) {
    this.host = host;
    this.#log = log;
    this.#process = process;
  }

  static async start(directory: string, options: RegistryOptions = {}): Promise<Registry> {
    mkdirSync(directory, { recursive: true });
    const host = `127.0.0.1:${await freePort()}`;
    const config = join(directory, "config.yml");
    const log = join(directory, "log");
    writeFileSync(config, configuration(directory, host, options));
    const output = openSync(log, "a");
    const command = ["setpriv", "--pdeathsig", "KILL", "--", "docker-registry", "serve", config];
    const process = Bun.spawn(command, { stdin: "ignore", stdout: output, stderr: output });
    closeSync(output);
    const registry = new Registry(host, log, process);
    try {
      const look = async () => ({ listens: await isListening(host), log: readFileSync(log, "utf8") });
      await until("docker-registry listens", look, ({ listens }) => listens);
      return registry;
    } catch (error) {
      await registry[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Copies an image (`oci:DIRECTORY:TAG`) here; returns the reference to pull it by. */
  async push(source: string, name: string, how: readonly string[] = ["--preserve-digests"]): Promise<string> {
    const target = `${this.host}/${name}`;
    const options = [...how, "--dest-tls-verify=false", "--insecure-policy"];
    const child = Bun.spawn(["skopeo", "copy", "--quiet", ...options, source, `docker://${target}`], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
      timeout: 60_000,
    });
    const said = await new Response(child.stderr).text();
    if ((await child.exited) !== 0) throw new Error(`skopeo could not push ${source}: ${said}`);
    return target;
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** The digests of the blobs that were fetched so far, in order. */
  fetchedBlobs(): string[] {
    const fetches = readFileSync(this.#log, "utf8").matchAll(/"GET \/v2\/\S+\/blobs\/(sha256:[0-9a-f]{64}) HTTP/g);
    return [...fetches].map(([, digest]) => digest ?? "");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
  }
}

const isListening = (host: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(Number(host.split(":")[1]), "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
