// Room: test. Owns a private `up` for a test: started on a state directory, inspected, ended.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Config, childEnvironment, paths, readConfig } from "../../src/config.ts";
import { loopsBackedBelow, mountsBelow, processesOf } from "../support/residue.ts";
import { until } from "../support/until.ts";

const main = join(import.meta.dir, "../../src/main.ts");
const cli = join(import.meta.dir, "../../src/cli.ts");

/** A place for a snapmill. Of `settings`, undefined is for one that is not set at all. `nested` makes the state directory's path longer. */
export class Place implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), "snapmill-up-"));
  readonly settings: Readonly<Record<string, string>>;
  readonly config: Config;

  constructor(settings: Record<string, string | undefined> = {}, nested = "state") {
    const stateDir = join(this.directory, nested);
    mkdirSync(stateDir, { recursive: true });
    const all: Record<string, string | undefined> = {
      SNAPMILL_STATE_DIR: stateDir,
      SNAPMILL_RUN_DIR: join(this.directory, "run"),
      SNAPMILL_POOL_SIZE: "1GiB",
      SNAPMILL_DEVICE_SIZE: "64MiB",
      SNAPMILL_UNPACK_WORKERS: "1",
      SNAPMILL_HTTP_ADDRESS: "127.0.0.1:0",
      ...settings,
    };
    this.settings = Object.fromEntries(
      Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined),
    );
    this.config = readConfig({}, this.settings);
  }

  /** Of its HTTP server, once `up` has made it. */
  get token(): string {
    return readFileSync(paths.httpToken(this.config), "utf8").trim();
  }

  up(umask = "022"): Up {
    return new Up(this.#spawn("sh", "-c", 'umask "$1"; shift; exec "$@"', "sh", umask, process.execPath, main));
  }

  /** The same through the command line. */
  upWith(...flags: readonly string[]): Up {
    return new Up(this.#spawn(process.execPath, cli, "up", ...flags));
  }

  /** Runs a command for this place. */
  async run(...args: readonly string[]): Promise<{ exitCode: number; stdout: string; stderr: string }> {
    const child = this.#spawn(process.execPath, cli, ...args);
    const [stdout, stderr, exitCode] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { exitCode, stdout, stderr };
  }

  #spawn(...argv: readonly string[]): Child {
    const { REDIS_URL: _, ...inherited } = childEnvironment({});
    return Bun.spawn([...argv], {
      env: { ...inherited, ...this.settings },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
  }

  /** Processes, loop devices and mounts of this place; none when all is well and nothing runs. */
  residue(): string[] {
    return [...processesOf(this.directory), ...loopsBackedBelow(this.directory), ...mountsBelow(this.directory)];
  }

  processes(): string[] {
    return processesOf(this.directory);
  }

  /** The processes of this place whose command line contains `text`. */
  pidsOf(text: string): number[] {
    const found = processesOf(this.directory).filter((line) => line.includes(text));
    return found.map((line) => Number(/^process (\d+):/.exec(line)?.[1]));
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** A place whose settings are in a file. */
export class PlaceWithFile extends Place {
  readonly file: string;
  readonly #directory: string;

  /** `settings`: for the environment, beside the usual ones. */
  constructor(lines: (directory: string) => readonly string[], settings: Record<string, string | undefined> = {}) {
    const directory = mkdtempSync(join(tmpdir(), "snapmill-file-"));
    const file = join(directory, "config.toml");
    writeFileSync(file, `${lines(directory).join("\n")}\n`, { mode: 0o600 });
    super({ ...settings, SNAPMILL_CONFIG: file });
    this.file = file;
    this.#directory = directory;
  }

  /** Replaces the file. */
  write(...lines: readonly string[]): void {
    writeFileSync(this.file, `${lines.join("\n")}\n`);
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

type Child = Bun.Subprocess<"ignore", "pipe", "pipe">;

export class Up implements AsyncDisposable {
  readonly #child: Child;
  readonly #stderr: Promise<string>;
  #stdout = "";
  #said = "";

  constructor(child: Child) {
    this.#child = child;
    this.#stderr = this.#listen();
  }

  /** Waits until it has written `text` to stderr; throws all that it wrote when it ends without. */
  async says(text: string): Promise<void> {
    const ended = this.#child.exited.then(() => true);
    while (!this.#said.includes(text)) {
      if (await Promise.race([ended, Bun.sleep(50).then(() => false)])) break;
    }
    if (!(await this.#saidInTheEnd(text))) throw new Error(`up ended and had not said ${text}: ${this.#said}`);
  }

  async #saidInTheEnd(text: string): Promise<boolean> {
    return this.#said.includes(text) || (await this.#stderr).includes(text);
  }

  async #listen(): Promise<string> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stderr) this.#said += decoder.decode(chunk, { stream: true });
    return this.#said;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Waits for the line that says ready, and returns it; throws what `up` said when it ended instead. */
  async ready(): Promise<string> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stdout) {
      this.#stdout += decoder.decode(chunk, { stream: true });
      const line = this.#stdout.split("\n").find((candidate) => candidate.includes("ready"));
      if (line !== undefined) return line;
    }
    throw new Error(`up ended before it was ready: ${await this.#stderr}`);
  }

  /** Sends `signal`; answers with the exit status, or the signal that ended it. */
  async end(signal: NodeJS.Signals): Promise<number | string> {
    this.#child.kill(signal);
    return await this.ended();
  }

  /** What is still there of it after a failed test. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGKILL");
  }

  async ended(): Promise<number | string> {
    await this.#child.exited;
    return this.#child.signalCode ?? this.#child.exitCode ?? "still running";
  }

  /** All that it wrote to stderr, once it has ended. */
  get stderr(): Promise<string> {
    return this.#stderr;
  }
}

/** The address in a ready line: `http://127.0.0.1:33333`. */
export const urlIn = (readyLine: string): string => /http:\/\/[^/]+/.exec(readyLine)?.[0] ?? "";

/** What /readyz says: with its reasons to who shows the token of the `place`. */
export async function healthOf(
  url: string,
  place?: Place,
): Promise<{ readonly status: number; readonly body: unknown }> {
  const headers = place === undefined ? {} : { authorization: `Basic ${btoa(`snapmill:${place.token}`)}` };
  const answer = await fetch(`${url}/readyz`, { headers });
  return { status: answer.status, body: await answer.json() };
}

/** All metrics, as the token of the `place` shows them. */
export async function metricsOf(url: string, place: Place): Promise<string> {
  const headers = { authorization: `Basic ${btoa(`snapmill:${place.token}`)}` };
  return await (await fetch(`${url}/metrics`, { headers })).text();
}

export const untilHealthy = (url: string, place?: Place) =>
  until(
    "up is healthy",
    () => healthOf(url, place),
    ({ status }) => status === 200,
    60_000,
  );
