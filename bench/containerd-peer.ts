// Room: bench. Owns containerd with its own devmapper snapshotter, for comparison, over the socket of its API.
import { mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create, type DescMethodUnary, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { Snapshots } from "../src/api/grpc/generated/snapshots_pb.js";

const snapshotter = "devmapper";
const startTimeoutMs = 300_000;
const callTimeoutMs = 300_000;

/** Keeps containerd's garbage collector from snapshots that are not removed. */
const labels = { "containerd.io/gc.root": "bench" };

const configuration = (directory: string, poolDevice: string, deviceSizeMib: number): string => `version = 2
root = "${directory}/root"
state = "${directory}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "${directory}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "${directory}/opt"
[plugins."io.containerd.gc.v1.scheduler"]
  mutation_threshold = 0
[plugins."io.containerd.snapshotter.v1.devmapper"]
  root_path = "${directory}/devmapper"
  pool_name = "${poolDevice}"
  base_image_size = "${deviceSizeMib}MB"
`;

/** Disposing of it ends the daemon. */
export class ContainerdPeer implements AsyncDisposable {
  readonly #client: Client;
  readonly #daemon: Bun.Subprocess;

  private constructor(address: string, daemon: Bun.Subprocess) {
    this.#client = new Client(`unix:${address}`, credentials.createInsecure(), {
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 500,
    });
    this.#daemon = daemon;
  }

  /** `poolDevice`: the device-mapper name of a thin-pool that is its own. */
  static async start(directory: string, poolDevice: string, deviceSizeMib: number): Promise<ContainerdPeer> {
    mkdirSync(directory, { recursive: true });
    const config = join(directory, "config.toml");
    writeFileSync(config, configuration(directory, poolDevice, deviceSizeMib));
    const log = join(directory, "log");
    const output = openSync(log, "a");
    const daemon = Bun.spawn(["setpriv", "--pdeathsig", "KILL", "--", "containerd", "--config", config], {
      stdin: "ignore",
      stdout: output,
      stderr: output,
    });
    const peer = new ContainerdPeer(join(directory, "containerd.sock"), daemon);
    try {
      await peer.#untilServing();
      return peer;
    } catch (error) {
      await peer[Symbol.asyncDispose]();
      throw new Error(`containerd does not serve: ${readFileSync(log, "utf8").slice(-3000)}`, { cause: error });
    }
  }

  async #untilServing(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#client.waitForReady(Date.now() + startTimeoutMs, (error) =>
      error === undefined ? resolve() : reject(error),
    );
    await promise;
    // What does not exist is not found, once there is a snapshotter to look for it.
    const failure = await this.stat("no-such-snapshot").catch((error: unknown) => error);
    const isServing = failure instanceof Error && "code" in failure && failure.code === status.NOT_FOUND;
    if (!isServing) throw failure;
  }

  prepare = (key: string, parent = "") =>
    this.#snapshots(Snapshots.method.prepare, { snapshotter, key, parent, labels });
  view = (key: string, parent: string) => this.#snapshots(Snapshots.method.view, { snapshotter, key, parent, labels });
  commit = (name: string, key: string) => this.#snapshots(Snapshots.method.commit, { snapshotter, name, key, labels });
  stat = (key: string) => this.#snapshots(Snapshots.method.stat, { snapshotter, key });
  usage = (key: string) => this.#snapshots(Snapshots.method.usage, { snapshotter, key });

  /** Removes the name; the next garbage collection removes the device. */
  release = (key: string) => this.#snapshots(Snapshots.method.remove, { snapshotter, key });

  /**
   * Has everything deleted that was released: the deletion of a lease, by containerd.services.leases.v1, waits for a
   * collection when it is synchronous (DeleteRequest: `string id = 1`, `bool sync = 2`).
   */
  async collect(): Promise<void> {
    const lease = `bench-${crypto.randomUUID()}`;
    await this.#leases("Create", new BinaryWriter().tag(1, 2).string(lease).finish());
    await this.#leases("Delete", new BinaryWriter().tag(1, 2).string(lease).tag(2, 0).bool(true).finish());
  }

  #snapshots<Method extends (typeof Snapshots.method)[keyof typeof Snapshots.method]>(
    method: Method & DescMethodUnary,
    request: MessageInitShape<Method["input"]>,
  ) {
    const bytes = toBinary(method.input, create(method.input, request));
    return this.#call(`/${method.parent.typeName}/${method.name}`, bytes, (reply) => fromBinary(method.output, reply));
  }

  #leases = (name: string, request: Uint8Array) =>
    this.#call(`/containerd.services.leases.v1.Leases/${name}`, request, () => undefined);

  #call<Reply>(path: string, request: Uint8Array, parse: (bytes: Buffer) => Reply): Promise<Reply | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<Reply | undefined>();
    const metadata = new Metadata();
    metadata.set("containerd-namespace", "bench");
    this.#client.makeUnaryRequest(
      path,
      (bytes: Uint8Array) => Buffer.from(bytes),
      parse,
      request,
      metadata,
      { deadline: Date.now() + callTimeoutMs },
      (error: ServiceError | null, reply?: Reply) => (error === null ? resolve(reply) : reject(error)),
    );
    return promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.close();
    this.#daemon.kill("SIGTERM");
    await this.#daemon.exited;
  }
}
