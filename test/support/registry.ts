// Room: test. Owns a registry of a test's own: Debian's docker-registry on a loopback port, and what it was asked for.
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { eventually } from "./processes.ts";

export const registryPrograms = ["docker-registry", "skopeo"] as const;

const configuration = (directory: string, host: string): string => `version: 0.1
log: {level: info, accesslog: {disabled: false}}
storage: {filesystem: {rootdirectory: ${directory}/blobs}, cache: {blobdescriptor: inmemory}}
http: {addr: "${host}", secret: test}
`;

/** Disposing of it ends the process; its directory is the caller's to remove. */
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

  static async start(directory: string): Promise<Registry> {
    mkdirSync(directory, { recursive: true });
    const host = `127.0.0.1:${await freePort()}`;
    const config = join(directory, "config.yml");
    const log = join(directory, "log");
    writeFileSync(config, configuration(directory, host));
    const output = openSync(log, "a");
    const command = ["setpriv", "--pdeathsig", "KILL", "--", "docker-registry", "serve", config];
    const process = Bun.spawn(command, { stdin: "ignore", stdout: output, stderr: output });
    closeSync(output);
    const registry = new Registry(host, log, process);
    const serving = () =>
      fetch(`http://${host}/v2/`).then(
        ({ ok }) => ok,
        () => false,
      );
    if (await eventually(serving)) return registry;
    await registry[Symbol.asyncDispose]();
    throw new Error(`docker-registry did not start: ${readFileSync(log, "utf8").slice(-2000)}`);
  }

  /** Copies an image (`oci:DIRECTORY:TAG`) here and returns what to pull it by. */
  async push(source: string, name: string): Promise<string> {
    const target = `${this.host}/${name}`;
    const options = ["--preserve-digests", "--dest-tls-verify=false", "--insecure-policy"];
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

  /** The blobs that were fetched so far, a digest each time, in order. */
  fetchedBlobs(): string[] {
    const fetches = readFileSync(this.#log, "utf8").matchAll(/"GET \/v2\/\S+\/blobs\/(sha256:[0-9a-f]{64}) HTTP/g);
    return [...fetches].map(([, digest]) => digest ?? "");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
  }
}

/** One that is free now; nobody else is likely to be given it meanwhile. */
const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
