// Owns the service on a thin-pool in the test's process: gRPC and device-mapper are real, the queue is left out.
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serveSnapshots } from "../../../src/api/grpc/server.ts";
import type { FsType } from "../../../src/domain/devices.ts";
import { internal } from "../../../src/domain/errors.ts";
import { containerdScope, freshOperationId } from "../../../src/domain/identifiers.ts";
import { parsePayload, parseResult, poolJobNames } from "../../../src/jobs/contract.ts";
import { journaledHandlers, runnersOf } from "../../../src/jobs/worker/handlers.ts";
import { createLogger } from "../../../src/logger.ts";
import { openFixture, type SnapshotterFixture, type TestPool } from "../../conformance/snapshotter-fixture.ts";
import { SnapshotsClient } from "./client.ts";

/** Disposing of it removes the pool. */
export class ThinPoolService implements AsyncDisposable {
  readonly client: SnapshotsClient;
  readonly #directory: string;
  readonly #fixture: SnapshotterFixture;
  readonly #server: AsyncDisposable;

  private constructor(directory: string, fixture: SnapshotterFixture, server: AsyncDisposable) {
    this.#directory = directory;
    this.#fixture = fixture;
    this.#server = server;
    this.client = new SnapshotsClient(addressIn(directory));
  }

  static async open(testPool: TestPool, poolSizeBytes: number, fsType: FsType): Promise<ThinPoolService> {
    const directory = realpathSync(mkdtempSync(join(tmpdir(), "snapmill-grpc-")));
    const fixture = await openFixture(testPool, { directory, poolSizeBytes, fsType });
    const server = await serve(testPool, fixture, addressIn(directory));
    return new ThinPoolService(directory, fixture, server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client[Symbol.dispose]();
    await this.#server[Symbol.asyncDispose]();
    await this.#fixture[Symbol.asyncDispose]();
    rmSync(this.#directory, { recursive: true });
  }
}

const addressIn = (directory: string): string => join(directory, "containerd.sock");

function serve(
  { pool }: TestPool,
  { database, driver, snapshotter }: SnapshotterFixture,
  address: string,
): Promise<AsyncDisposable> {
  const none = () => Promise.reject(internal("no call has this done"));
  const runners = runnersOf(poolJobNames, pool, { ...journaledHandlers(snapshotter), probe: none, "read-batch": none });
  return serveSnapshots({
    address,
    log: createLogger({ name: "test", level: "silent" }),
    context: {
      scope: containerdScope,
      service: {
        database: () => database,
        devicePath: (deviceName) => driver.devicePath(deviceName),
        usedBytes: (device) => driver.usedBytes(device),
        change: async (name, given, { signal = new AbortController().signal } = {}) => {
          const operationId = freshOperationId();
          const ignore = () => Promise.resolve();
          const signals = { signal, stopping: signal, lockLost: signal };
          const job = {
            operationId,
            attempt: 1,
            isLastAttempt: false,
            ...signals,
            requireOwn: ignore,
            progress: ignore,
            log: ignore,
            lastProgress: () => undefined,
          };
          const run = runners.get(name);
          if (run === undefined) throw internal(`no call has ${name} done`);
          return parseResult(name, await run(parsePayload(name, { ...given, pool, operationId }), job));
        },
      },
    },
  });
}
