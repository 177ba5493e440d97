// Room: bench. Owns containerd as a peer: the images are imported before, its snapshotter unpacks them.
import { join } from "node:path";
import { containerdConfiguration, startContainerd } from "../containerd-daemon.ts";
import { runTool, type Tools, type Way } from "./way.ts";

export interface Snapshotter {
  readonly name: "overlayfs" | "native" | "devmapper";
  /** Makes what the snapshotter needs in an empty directory; its configuration as TOML. */
  readonly configure?: (directory: string) => Promise<{ readonly toml: string } & AsyncDisposable>;
}

const namespace = "bench";

export const containerd = (tools: Tools, { name, configure }: Snapshotter): Way => ({
  name: `containerd, ${name}`,
  open: async (directory, { archive, images }) => {
    await using scope = new AsyncDisposableStack();
    const configured = configure && scope.use(await configure(directory));
    const home = join(directory, "c");
    const configuration = containerdConfiguration(home, configured?.toml ?? "", name);
    const { address } = scope.use(await startContainerd(home, configuration, tools.environment));
    const ctr = (...args: string[]) =>
      runTool(tools, "ctr", "--address", address, "--connect-timeout", "60s", "--namespace", namespace, ...args);
    await ctr("images", "import", "--no-unpack", "--base-name", "bench", archive);
    const held = scope.move();
    return {
      unpack: async () => {
        for (const { digest } of images) await ctr("snapshots", "--snapshotter", name, "unpack", digest);
      },
      written: [directory],
      [Symbol.asyncDispose]: () => held.disposeAsync(),
    };
  },
});
