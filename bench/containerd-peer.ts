// Room: bench. Owns containerd with its own devmapper snapshotter, for comparison, over the socket of its API.
import { create, type DescMethodUnary, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { type Client, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { Snapshots } from "../src/api/grpc/generated/snapshots_pb.js";
import {
  type ContainerdDaemon,
  containerdConfiguration,
  devmapperConfiguration,
  startContainerd,
} from "./containerd-daemon.ts";

const snapshotter = "devmapper";
const callTimeoutMs = 300_000;

/** Keeps containerd's garbage collector from snapshots that are not removed. */
const labels = { "containerd.io/gc.root": "bench" };

/** Disposing of it ends the daemon. */
export class ContainerdPeer implements AsyncDisposable {
  readonly #client: Client;
  readonly #daemon: ContainerdDaemon;

  private constructor(daemon: ContainerdDaemon) {
    this.#daemon = daemon;
    this.#client = daemon.client;
  }

  /** `poolDevice`: the device-mapper name of a thin-pool that is its own. */
  static async start(directory: string, poolDevice: string, deviceSizeMib: number): Promise<ContainerdPeer> {
    const devmapper = devmapperConfiguration(directory, poolDevice, deviceSizeMib);
    const peer = new ContainerdPeer(
      await startContainerd(directory, containerdConfiguration(directory, devmapper, snapshotter)),
    );
    try {
      await peer.#untilServing();
      return peer;
    } catch (error) {
      await peer[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #untilServing(): Promise<void> {
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

  [Symbol.asyncDispose]() {
    return this.#daemon[Symbol.asyncDispose]();
  }
}
