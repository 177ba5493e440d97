// Room: test. Owns a private containerd: the real daemon and ctr, with all their files below one directory.
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "./until.ts";

/** What containerd's own programs are called: for testWith. */
export const containerdPrograms = ["containerd", "ctr"] as const;

/** Everything that containerd would otherwise put in the machine's directories. */
const ownPaths = (directory: string): string => `version = 2
root = "${directory}/root"
state = "${directory}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "${directory}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "${directory}/opt"
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "${directory}/cni/bin"
  conf_dir = "${directory}/cni/conf"
`;

/** Disposing of it ends the daemon; its directory is the caller's to remove. */
export class Containerd implements AsyncDisposable {
  readonly address: string;
  readonly #directory: string;
  readonly #log: string;
  #daemon: Bun.Subprocess | undefined;

  /** `configuration`: blocks of TOML, as users append them to their own. */
  private constructor(directory: string, configuration: readonly string[]) {
    mkdirSync(directory, { recursive: true });
    this.#directory = directory;
    this.address = join(directory, "containerd.sock");
    this.#log = join(directory, "log");
    writeFileSync(this.#configPath, [ownPaths(directory), ...configuration].join("\n"));
  }

  /** A containerd that serves. */
  static async start(directory: string, configuration: readonly string[]): Promise<Containerd> {
    const containerd = new Containerd(directory, configuration);
    await containerd.start();
    return containerd;
  }

  get #configPath(): string {
    return join(this.#directory, "config.toml");
  }

  /** All that the daemon has said, every start of it. */
  get said(): string {
    return existsSync(this.#log) ? readFileSync(this.#log, "utf8") : "";
  }

  async start(): Promise<void> {
    const log = openSync(this.#log, "a");
    this.#daemon = Bun.spawn(["setpriv", "--pdeathsig", "KILL", "--", "containerd", "--config", this.#configPath], {
      stdin: "ignore",
      stdout: log,
      stderr: log,
    });
    closeSync(log);
    const look = async () => ({ ...(await this.try("version")), said: this.said });
    try {
      await until("containerd serves", look, ({ exitCode }) => exitCode === 0, 240_000);
    } catch (error) {
      await this.stop("SIGKILL");
      throw error;
    }
  }

  /** Ends the daemon; what runs in containers goes on. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    this.#daemon?.kill(signal);
    await this.#daemon?.exited;
    this.#daemon = undefined;
  }

  /** What `ctr ARGS` prints; throws what it complains of. */
  async ctr(...args: string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await this.try(...args);
    if (exitCode !== 0) throw new Error(`ctr ${args.join(" ")}: ${stderr.trim()}`);
    return stdout;
  }

  async try(...args: string[]): Promise<{ exitCode: number; stdout: string; stderr: string }> {
    // Its own ten seconds for the connection are too few for the last of a crowd on one processor.
    const child = Bun.spawn(["ctr", "--address", this.address, "--connect-timeout", "120s", ...args], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout: 300_000,
    });
    const [stdout, stderr, exitCode] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { exitCode, stdout, stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
