// Room: bench. Owns a containerd daemon with all its files in one directory.
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client, credentials } from "@grpc/grpc-js";
import { childEnvironment } from "../src/config.ts";

const startTimeoutMs = 300_000;

const ofSnapshotters = ["aufs", "btrfs", "devmapper", "zfs"];

/** A configuration in which no path is the machine's; of the snapshotters that need something, `snapshotter` alone is on. */
export const containerdConfiguration = (directory: string, more: string, snapshotter: string): string => `version = 2
root = "${directory}/root"
state = "${directory}/state"
disabled_plugins = [${["io.containerd.grpc.v1.cri", ...ofSnapshotters.filter((name) => name !== snapshotter).map((name) => `io.containerd.snapshotter.v1.${name}`)].map((name) => `"${name}"`).join(", ")}]
[grpc]
  address = "${directory}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "${directory}/opt"
[plugins."io.containerd.gc.v1.scheduler"]
  mutation_threshold = 0
${more}`;

export const devmapperConfiguration = (directory: string, poolDevice: string, deviceSizeMib: number): string =>
  `[plugins."io.containerd.snapshotter.v1.devmapper"]
  root_path = "${directory}/devmapper"
  pool_name = "${poolDevice}"
  base_image_size = "${deviceSizeMib}MB"
`;

export interface ContainerdDaemon extends AsyncDisposable {
  /** Of its socket. */
  readonly address: string;
  /** Connected to it. */
  readonly client: Client;
}

/** A daemon that serves; disposing of it ends it. Throws with the end of its log. */
export async function startContainerd(
  directory: string,
  configuration: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<ContainerdDaemon> {
  mkdirSync(directory, { recursive: true });
  const config = join(directory, "config.toml");
  writeFileSync(config, configuration);
  const log = join(directory, "log");
  const output = openSync(log, "a");
  const daemon = Bun.spawn(["setpriv", "--pdeathsig", "KILL", "--", "containerd", "--config", config], {
    env: { ...childEnvironment({}), ...environment },
    stdin: "ignore",
    stdout: output,
    stderr: output,
  });
  closeSync(output);
  const address = join(directory, "containerd.sock");
  const client = new Client(`unix:${address}`, credentials.createInsecure(), {
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 500,
  });
  const end = async () => {
    client.close();
    daemon.kill("SIGTERM");
    await daemon.exited;
  };
  try {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    client.waitForReady(Date.now() + startTimeoutMs, (error) => (error === undefined ? resolve() : reject(error)));
    await promise;
    return { address, client, [Symbol.asyncDispose]: end };
  } catch (error) {
    await end();
    throw new Error(`containerd does not serve: ${readFileSync(log, "utf8").slice(-3000)}`, { cause: error });
  }
}
