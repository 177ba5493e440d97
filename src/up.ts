// Room: top. Owns `up`: runs a whole snapmill on one machine, from taking the lock to the end of the last child.
import { readdirSync } from "node:fs";
import { dirname } from "node:path";
import { version } from "../package.json";
import { Dashboard } from "./api/dashboard/dashboard.ts";
import { checkAddress } from "./api/grpc/address.ts";
import { type HttpServer, serveHttp } from "./api/http/server.ts";
import { type Config, paths, redisUrl, serviceManagerSettings, wantsTraces } from "./config.ts";
import { untilAborted } from "./domain/cancellation.ts";
import { asSnapmillError, failedPrecondition, isSnapmillError, unavailable } from "./domain/errors.ts";
import { type PoolName, poolName } from "./domain/identifiers.ts";
import { describeRunning } from "./domain/running.ts";
import { claimToken, lookUpClaim } from "./jobs/claims/pool-claims.ts";
import { createLogger, type Logger } from "./logger.ts";
import { MetricsReader, readOwnMetrics } from "./service/metrics-reader.ts";
import { OperationTracker } from "./service/operation-tracker.ts";
import { LocalPoolProbe } from "./service/pool-probe.ts";
import { ServerService } from "./service/server-service.ts";
import { requireOwnPlace } from "./supervisor/directories.ts";
import { keepRoom } from "./supervisor/disk-reserve.ts";
import { HealthCheck, tellTroubles } from "./supervisor/health.ts";
import { Notifier } from "./supervisor/notifier.ts";
import { proveJobsRun } from "./supervisor/probe.ts";
import { claim } from "./supervisor/running.ts";
import { requireFreeName, Services } from "./supervisor/services.ts";
import { readOrMakeToken } from "./supervisor/token.ts";
import type { Lock } from "./system/file/locks.ts";
import type { Left } from "./system/process/processes.ts";
import { startTelemetry } from "./telemetry/start.ts";

/** What `up` reports once everything is usable. */
export interface UpReady {
  /** `http://127.0.0.1:7070/queues` */
  readonly dashboardUrl: string;
  readonly user: string;
  readonly token: string;
  readonly tokenPath: string;
  /** The socket for containerd; undefined: containerd is not served. */
  readonly grpcAddress: string | undefined;
}

export interface UpOptions {
  /** Shuts it down in order. */
  readonly signal: AbortSignal;
  /** Moves the pool's name in Redis to this database, whichever has it now. Default: false. */
  readonly takeOver?: boolean;
  readonly onReady: (ready: UpReady) => void;
}

/**
 * Runs a snapmill for the configured state directory until `signal` is aborted; then stops it and returns. Throws
 * failed_precondition if another one runs already or an address is in use, a child's reason for refusing to work, and
 * `unavailable` if a process did not end when it was stopped.
 */
export async function runUp(given: Config, { takeOver = false, ...options }: UpOptions): Promise<void> {
  const config = { ...given, takeOver: takeOver ? await claimToMove(given) : undefined };
  requireOwnPlace(config);
  const log = createLogger({ name: "up", level: config.logLevel, format: config.logFormat });
  const { grpcAddress } = config;
  if (grpcAddress !== undefined) checkAddress(grpcAddress);
  await using _telemetry = await startTelemetry({ process: "up", isTraced: wantsTraces(), log });
  using lock = await becomeTheOne(config, log);
  using _impatience = obeyASecondSignal(options.signal);
  using notifier = new Notifier(serviceManagerSettings(), log);
  try {
    notifier.starting(() => "Redis");
    await requireFreeName(config, options.signal);
  } catch (error) {
    notifier.stopping(whyItStops(error, options.signal));
    if (options.signal.aborted) return;
    throw error;
  }

  const services = new Services(config, log);
  try {
    notifier.starting(() => services.awaited ?? "the first job");
    await runServices(config, { services, notifier, log }, options);
    if (services.left.length > 0) throw unavailable(describeLeft(services.left));
  } finally {
    // Those processes wait for a disk, perhaps for this one: deleting the file could hang as well.
    if (services.left.length > 0) lock.leaveFile();
  }
}

const describeLeft = (left: readonly Left[]): string =>
  `stopped, but left ${left.map(({ pid, reason }) => `process ${pid} (${reason})`).join(", ")}: ` +
  "no signal ends a process while the kernel waits for a disk; check the disks";

/** Runs everything from the start of the first child to the end of the last. */
async function runServices(
  config: Config,
  { services: given, notifier, log }: { services: Services; notifier: Notifier; log: Logger },
  { signal, onReady }: UpOptions,
): Promise<void> {
  const { grpcAddress } = config;
  await using services = given;
  using probe = new LocalPoolProbe(config);
  await using health = new HealthCheck(config, services, probe);
  await using pool = new ServerService(config, (sentence) => log.warn(sentence));
  const metrics = new MetricsReader(config, version, services);
  const token = readOrMakeToken(paths.httpToken(config));
  await using http = serveHttp({
    address: config.httpAddress,
    names: config.httpNames,
    metricsOpen: config.metricsOpen,
    token,
    log,
    health: () => health.current(),
    metrics: async () => [readOwnMetrics(), await metrics.read()],
    host: { pools: new Map([[config.pool, pool]]), operations: new OperationTracker() },
  });
  const ended = untilAborted(signal);
  ended.catch(() => log.info("stopping"));
  try {
    await Promise.race([services.start(), ended]);
    await using _socket = http.listenAt(paths.httpSocket(config));
    await using _dashboard = await showDashboard(config, http);
    // After the dashboard has started: an operator resumes a paused queue there.
    const onPaused = (reason: string) => log.warn(`not ready: ${reason}, at ${http.url}/queues`);
    await Promise.race([proveJobsRun(config, { signal, onPaused }), services.failed, ended]);
    const tokenPath = paths.httpToken(config);
    using _room = keepRoom(config, log);
    using _troubles = tellTroubles(health, log, (found) => notifier.health(found));
    health.phase = "running";
    notifier.ready();
    onReady({ dashboardUrl: `${http.url}/queues`, user: "snapmill", token, tokenPath, grpcAddress });
    await Promise.race([services.failed, ended]);
  } catch (error) {
    health.phase = "stopping";
    notifier.stopping(whyItStops(error, signal));
    if (!signal.aborted) throw error;
  }
}

const whyItStops = (error: unknown, { aborted }: AbortSignal): string =>
  aborted ? "stopping" : `stopping: ${asSnapmillError(error).message}`;

/**
 * One line for people, and for programs that wait for the word `ready`. It shows the token only on a terminal: the
 * output of a service goes to a log that others can read.
 */
export function readyLine({ dashboardUrl, user, token, tokenPath, grpcAddress }: UpReady): string {
  const where = process.stdout.isTTY === true ? `token ${token}, stored in ${tokenPath}` : `token in ${tokenPath}`;
  const socket = grpcAddress === undefined ? "" : `; containerd: ${grpcAddress}`;
  return `snapmill is ready; dashboard: ${dashboardUrl} (user ${user}, ${where})${socket}`;
}

/** The one claim that the pool's worker may move: a name that moves on later is not taken back. */
async function claimToMove({ redisUrl: url, pool }: Config): Promise<string | undefined> {
  const claim = url === undefined ? undefined : await lookUpClaim(url, pool);
  return claim === undefined ? undefined : claimToken(claim);
}

async function becomeTheOne(config: Config, log: Logger): Promise<Lock> {
  const claimed = await claim(config, "up", (sentence) => log.warn(sentence));
  if (claimed.kind === "ours") return claimed.lock;
  throw failedPrecondition(
    `a snapmill already runs for ${config.stateDir}: ${describeRunning(claimed.by)}; stop it, or use another --state-dir`,
  );
}

async function showDashboard(config: Config, http: HttpServer): Promise<Dashboard> {
  const dashboard = await Dashboard.open({ redisUrl: redisUrl(config), pools: poolsIn(config) });
  http.show(dashboard.app);
  return dashboard;
}

/** The pools in the state directory, the configured one first. */
function poolsIn(config: Config): readonly PoolName[] {
  const names = readdirSync(dirname(paths.poolDir(config)), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => asPoolName(entry.name))
    .filter((name) => name !== config.pool);
  return [config.pool, ...names.sort()];
}

/** Directories whose names are not pool names are ignored. */
function asPoolName(text: string): PoolName[] {
  try {
    return [poolName(text)];
  } catch (error) {
    if (isSnapmillError(error, "invalid_argument")) return [];
    throw error;
  }
}

/** One Ctrl-C may arrive twice, from the terminal and from npm: only a second one after this time means "now". */
const impatienceAfterMs = 1_000;

/** Once `signal` is aborted, another SIGINT or SIGTERM ends this process at once; its children die with it. */
function obeyASecondSignal(signal: AbortSignal): Disposable {
  let abortedAtMs = Number.POSITIVE_INFINITY;
  const note = () => {
    abortedAtMs = performance.now();
  };
  const leave = () => {
    if (performance.now() - abortedAtMs > impatienceAfterMs) process.exit(1);
  };
  signal.addEventListener("abort", note, { once: true });
  for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, leave);
  return {
    [Symbol.dispose]: () => {
      signal.removeEventListener("abort", note);
      for (const name of ["SIGINT", "SIGTERM"] as const) process.off(name, leave);
    },
  };
}
