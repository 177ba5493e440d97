// Room: test. Owns a real containerd on a real snapmill, configured as docs/CONTAINERD.md says.
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { paths } from "../../src/config.ts";
import { openDatabase } from "../../src/metadata/database.ts";
import { listDevices } from "../../src/metadata/devices.ts";
import { snapshotsOn } from "../../src/metadata/snapshots.ts";
import { Containerd } from "./containerd.ts";
import { mountsBelow } from "./residue.ts";
import { type Started, TestSnapmill } from "./test-snapmill.ts";
import { until } from "./until.ts";

const guide = readFileSync(join(import.meta.dir, "../../docs/CONTAINERD.md"), "utf8");
const guidesAddress = "/var/lib/snapmill/containerd.sock";

/** The first block of configuration in the guide that has `line`. */
function configurationWith(line: string): string {
  const blocks = [...guide.matchAll(/^```toml\n(.*?)^```$/gms)].map(([, block]) => block ?? "");
  const found = blocks.find((block) => block.includes(line));
  if (found === undefined) throw new Error(`docs/CONTAINERD.md has no configuration with ${line}`);
  return found;
}

/** Disposing of it ends both, and throws if one leaves something behind. */
export class ContainerdFixture implements AsyncDisposable {
  readonly snapmill: TestSnapmill;
  readonly containerd: Containerd;
  #up: Started;

  private constructor(snapmill: TestSnapmill, up: Started, containerd: Containerd) {
    this.snapmill = snapmill;
    this.#up = up;
    this.containerd = containerd;
  }

  static async open(settings: Record<string, string> = {}): Promise<ContainerdFixture> {
    const snapmill = new TestSnapmill({
      SNAPMILL_HTTP_ADDRESS: "127.0.0.1:0",
      SNAPMILL_UNPACK_WORKERS: "1",
      ...settings,
    });
    try {
      const up = await startUp(snapmill);
      const address = snapmill.config.grpcAddress ?? "";
      const configuration = ["[proxy_plugins.snapmill]", '.cri".containerd]'].map((line) =>
        configurationWith(line).replace(guidesAddress, address),
      );
      const containerd = await Containerd.start(join(snapmill.directory, "containerd"), configuration);
      return new ContainerdFixture(snapmill, up, containerd);
    } catch (error) {
      for (const pid of snapmill.pidsOf("")) process.kill(pid, "SIGKILL");
      throw error;
    }
  }

  /** `ctr ARGS` with snapmill as its snapshotter. */
  snapshots = (...args: string[]): Promise<string> =>
    this.containerd.ctr("snapshots", "--snapshotter", "snapmill", ...args);

  importImage = (archive: string, name: string): Promise<string> =>
    this.containerd.ctr("images", "import", "--snapshotter", "snapmill", "--base-name", name, archive);

  async stopSnapmill(signal: NodeJS.Signals): Promise<void> {
    this.#up.kill(signal);
    await this.#up.finished;
  }

  async startSnapmill(): Promise<void> {
    this.#up = await startUp(this.snapmill);
  }

  /** The devices in the pool without templates, each with its snapshots as `scope key`. */
  poolContents(): Readonly<Record<string, readonly string[]>> {
    using database = openDatabase(paths.database(this.snapmill.config), { mode: "readonly" });
    const devices = listDevices(database).filter(({ role }) => role === "snapshot");
    return Object.fromEntries(
      devices.map(({ deviceName, number }) => [
        deviceName,
        snapshotsOn(database, number).map(({ scope, key }) => `${scope} ${key}`),
      ]),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.containerd[Symbol.asyncDispose]();
    await this.stopSnapmill("SIGTERM");
    using snapmill = this.snapmill;
    const left = [...snapmill.residue(), ...mountsBelow(snapmill.directory)];
    if (left.length > 0) throw new Error(`left behind: ${left.join("; ")}`);
  }
}

/** Starts `up`, and waits until it serves containerd. */
async function startUp(snapmill: TestSnapmill): Promise<Started> {
  const up = snapmill.start(["up"]);
  let hasEnded = false;
  void up.finished.then(() => {
    hasEnded = true;
  });
  const look = async () => ({ serves: await canConnect(snapmill.config.grpcAddress ?? ""), hasEnded, said: up.said() });
  try {
    const { serves, said } = await until("up serves containerd", look, (seen) => seen.serves || hasEnded, 10 * 60_000);
    if (!serves) throw new Error(`up ended before it served containerd: ${said}`);
    return up;
  } catch (error) {
    up.kill("SIGKILL");
    throw error;
  }
}

const canConnect = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
