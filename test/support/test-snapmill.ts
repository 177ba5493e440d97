// Room: test. Owns a private snapmill for a test: a state directory, the real program, and the check for leftovers.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Config, childEnvironment, paths, poolSettings, readConfig } from "../../src/config.ts";
import { ownScope, type SnapshotKey } from "../../src/domain/identifiers.ts";
import { createDriver } from "../../src/drivers/open.ts";
import type { UnpackedImage } from "../../src/jobs/contract.ts";
import { openDatabase } from "../../src/metadata/database.ts";
import { listDevices } from "../../src/metadata/devices.ts";
import { pendingOutbox } from "../../src/metadata/outbox.ts";
import { deviceOf } from "../../src/metadata/snapshots.ts";
import { walkSnapshots } from "../../src/metadata/walk.ts";
import type { FaultPoint } from "../../src/system/faults.ts";
import { mountDetached } from "../../src/system/mount/detached.ts";
import { mountOptions } from "../../src/system/mount/filesystems.ts";
import { loopsBackedBelow, mountsBelow, processesOf, strayFiles } from "./residue.ts";

const cli = join(import.meta.dir, "../../src/cli.ts");
/** The only files in a state directory and a run directory when nothing runs. */
const expectedState =
  /^(redis\/.*|reserve\/.*|http-token|http-session-key|tokens\.json|service\.db(-wal|-shm)?|pools\/[^/]+\/(metadata\.db(-wal|-shm)?|pool\.img|thin-pool\.json|(meta)?data\.img))$/;

export interface Finished {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly pid: number;
  readonly finished: Promise<Finished>;
  /** Its stderr so far. */
  readonly said: () => string;
  kill(signal: NodeJS.Signals): void;
}

/** Disposing of it deletes all its files; by then none of its processes may run. */
export class TestSnapmill implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), "snapmill-test-"));
  readonly config: Config;
  /** The environment of its programs. */
  readonly settings: Readonly<Record<string, string>>;

  /** `ofPrograms`: settings of its programs alone, which may be wrong. */
  constructor(settings: Record<string, string> = {}, ofPrograms: Record<string, string> = {}) {
    const own = {
      SNAPMILL_STATE_DIR: join(this.directory, "state"),
      SNAPMILL_RUN_DIR: join(this.directory, "run"),
      SNAPMILL_POOL_SIZE: "1GiB",
      SNAPMILL_DEVICE_SIZE: "512MiB",
      SNAPMILL_LOG_LEVEL: "warn",
      ...settings,
    };
    this.config = readConfig({}, own);
    this.settings = { ...own, ...ofPrograms };
    mkdirSync(this.config.stateDir, { mode: 0o700 });
  }

  /** Every snapshot of its own scope in the database. */
  snapshots() {
    using database = openDatabase(paths.database(this.config), { mode: "readonly" });
    return [...walkSnapshots(database, { scope: ownScope })];
  }

  /** Its running processes whose command line contains `program`. */
  pidsOf(program: string): number[] {
    const lines = processesOf(this.directory).filter((line) => line.includes(program));
    return lines.map((line) => Number(line.split(" ")[1]?.replace(":", "")));
  }

  /** Starts the command line. `fault`: the first process that reaches it kills itself. */
  start(args: readonly string[], fault?: FaultPoint): Started {
    const { REDIS_URL: _, ...inherited } = childEnvironment({});
    const child = Bun.spawn([process.execPath, cli, ...args], {
      env: { ...inherited, ...this.settings, ...(fault && { SNAPMILL_FAULT: `${fault}@${this.#armed()}` }) },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    let said = "";
    const listen = async () => {
      const decoder = new TextDecoder();
      for await (const chunk of child.stderr) said += decoder.decode(chunk, { stream: true });
      return said;
    };
    const finished = Promise.all([new Response(child.stdout).text(), listen(), child.exited]);
    return {
      pid: child.pid,
      said: () => said,
      finished: finished.then(([stdout, stderr]) => ({ exitCode: child.exitCode, stdout, stderr })),
      kill: (signal) => child.kill(signal),
    };
  }

  run(args: readonly string[], fault?: FaultPoint): Promise<Finished> {
    return this.start(args, fault).finished;
  }

  /** Unpacks one image and returns the output of the command; throws when it fails. */
  async unpack(reference: string): Promise<UnpackedImage> {
    const { exitCode, stdout, stderr } = await this.run(["unpack", "--json", reference]);
    if (exitCode !== 0) throw new Error(`unpack ended with ${exitCode ?? "a signal"}: ${stderr}`);
    return JSON.parse(stdout) as UnpackedImage;
  }

  /** Whether the fault of the last start was reached. */
  get faultHappened(): boolean {
    return !existsSync(this.#marker);
  }

  /** Mounts a committed snapshot for `look`, while nothing runs. */
  async inspect<T>(name: SnapshotKey, look: (root: string) => T): Promise<T> {
    using database = openDatabase(paths.database(this.config), { mode: "readonly" });
    const driver = createDriver({
      ...poolSettings(this.config),
    });
    await driver.open();
    try {
      const device = deviceOf(database, ownScope, name);
      await driver.activate(device);
      using mount = mountDetached({
        source: driver.devicePath(device.deviceName),
        fsType: device.fsType,
        options: mountOptions(device.fsType, true),
        readOnly: true,
      });
      return look(`/proc/self/fd/${mount.fd}/.`);
    } finally {
      await driver.close();
    }
  }

  /** Everything that is left although nothing runs and every unpack has ended; empty when all is well. */
  residue(): string[] {
    const { stateDir, runDir } = this.config;
    return [
      ...processesOf(this.directory),
      ...loopsBackedBelow(this.directory),
      ...mountsBelow(this.directory),
      ...strayFiles(stateDir, expectedState),
      ...(existsSync(runDir) ? [`directory ${runDir}`, ...strayFiles(runDir, /^$/)] : []),
      ...this.#halfDoneWork(),
    ];
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  #halfDoneWork(): string[] {
    if (!existsSync(paths.database(this.config))) return [];
    using database = openDatabase(paths.database(this.config), { mode: "readonly" });
    const snapshots = this.snapshots();
    const devices = listDevices(database);
    const templates = devices.filter(({ role }) => role === "template").length;
    return [
      ...snapshots.filter(({ kind }) => kind !== "committed").map(({ kind, key }) => `${kind} snapshot ${key}`),
      ...devices.filter(({ state }) => state !== "deactivated").map((d) => `device ${d.deviceName} is ${d.state}`),
      ...(devices.length === snapshots.length + templates
        ? []
        : [`${devices.length} devices for ${snapshots.length} snapshots and ${templates} templates`]),
      ...pendingOutbox(database).map(({ operationId, job }) => `${job} ${operationId} is still to be done`),
    ];
  }

  get #marker(): string {
    return join(this.directory, "fault");
  }

  #armed(): string {
    writeFileSync(this.#marker, "");
    return this.#marker;
  }
}
