// Room: top. Owns `up`: runs a whole snapmill on one machine, from taking the lock to the end of the last child.
import { readdirSync } from "node:fs";
import { dirname } from "node:path";
import { version } from "../package.json";
import { Dashboard } from "./api/dashboard/dashboard.ts";
import { checkAddress } from "./api/grpc/address.ts";
import type { CertificateFiles } from "./api/http/certificate.ts";
import { type HttpServer, serveHttp } from "./api/http/server.ts";
import { type Config, paths, redisUrl, type ServedReading, serviceManagerSettings, wantsTraces } from "./config.ts";
import { untilAborted } from "./domain/cancellation.ts";
import { asSnapmillError, failedPrecondition, invalidArgument, isSnapmillError, unavailable } from "./domain/errors.ts";
import { type PoolName, poolName } from "./domain/identifiers.ts";
import { describeRunning } from "./domain/running.ts";
import { claimToken, lookUpClaim } from "./jobs/claims/pool-claims.ts";
import { createLogger, type Logger } from "./logger.ts";
import { AuditLog } from "./service/audit-log.ts";
import { HistoryRecorder } from "./service/history-recorder.ts";
import { readOwnMetrics } from "./service/metrics-reader.ts";
import { observePool } from "./service/observed-pool.ts";
import { OperationTracker } from "./service/operation-tracker.ts";
import { LocalPoolProbe } from "./service/pool-probe.ts";
import { Sessions } from "./service/sessions.ts";
import { SignInLinks } from "./service/sign-in-links.ts";
import { TokenBook } from "./service/token-book.ts";
import { requireOwnPlace } from "./supervisor/directories.ts";
import { keepRoom } from "./supervisor/disk-reserve.ts";
import { Hangups } from "./supervisor/hangups.ts";
import { HealthCheck, tellTroubles } from "./supervisor/health.ts";
import { Notifier } from "./supervisor/notifier.ts";
import { proveJobsRun } from "./supervisor/probe.ts";
import { Reloader } from "./supervisor/reloader.ts";
import { claim } from "./supervisor/running.ts";
import { requireFreeName, Services } from "./supervisor/services.ts";
import { readOrMakeToken } from "./supervisor/token.ts";
import { WholeHealth } from "./supervisor/whole-health.ts";
import type { Lock } from "./system/file/locks.ts";
import type { Left } from "./system/process/processes.ts";
import { startTelemetry } from "./telemetry/start.ts";

/** What `up` reports once everything is usable. */
export interface UpReady {
  /** `http://127.0.0.1:7070/` */
  readonly dashboardUrl: string;
  /** A fresh link that signs in once, within ten minutes. */
  readonly signInUrl: () => string;
  readonly token: string;
  readonly tokenPath: string;
  /** The sockets for containerd, one for each pool that serves it. */
  readonly grpcAddresses: readonly string[];
}

export interface UpOptions {
  /** Shuts it down in order. */
  readonly signal: AbortSignal;
  /** Moves the pool's name in Redis to this database, whichever has it now. Default: false. */
  readonly takeOver?: boolean;
  readonly onReady: (ready: UpReady) => void;
  /** SIGHUP came because the terminal is gone, from which this process was started. */
  readonly onTerminalClosed: () => void;
  /** Reads the configuration as it is now: at every other SIGHUP. */
  readonly readAgain: () => ServedReading;
}

/**
 * Runs a snapmill that serves the pools of `given`, in their common state directory, until `signal` is aborted; then
 * stops it and returns. Throws failed_precondition if another one runs already or an address is in use, the reason of
 * the only pool, or of all, for refusing to work, and `unavailable` if a process did not end when it was stopped.
 */
export async function runUp(given: readonly Config[], { takeOver = false, ...options }: UpOptions): Promise<void> {
  const configs = await Promise.all(
    given.map(async (each) => ({ ...each, takeOver: takeOver ? await claimToMove(each) : undefined })),
  );
  const [config] = configs;
  if (config === undefined) throw invalidArgument("there is no pool to serve");
  requireOwnPlace(config);
  const log = createLogger({ name: "up", level: config.logLevel, format: config.logFormat });
  for (const { grpcAddress } of configs) if (grpcAddress !== undefined) checkAddress(grpcAddress);
  await using _telemetry = await startTelemetry({ process: "up", isTraced: wantsTraces(), log });
  using lock = await becomeTheOne(configs, log);
  using hangups = new Hangups(options.onTerminalClosed);
  using _impatience = obeyASecondSignal(options.signal);
  using notifier = new Notifier(serviceManagerSettings(), log);
  try {
    notifier.starting(() => "Redis");
    // Of several pools, each finds out for itself, and keeps no other from starting.
    if (configs.length === 1) await requireFreeName(config, options.signal);
  } catch (error) {
    notifier.stopping(whyItStops(error, options.signal));
    if (options.signal.aborted) return;
    throw error;
  }

  const services = new Services(configs, log);
  try {
    notifier.starting(() => services.awaited ?? "the first job");
    await runServices(configs, { services, notifier, log, hangups }, options);
    if (services.left.length > 0) throw unavailable(describeLeft(services.left));
  } finally {
    // Those processes wait for a disk, perhaps for this one: deleting the file could hang as well.
    if (services.left.length > 0) lock.leaveFile();
  }
}

const describeLeft = (left: readonly Left[]): string =>
  `stopped, but left ${left.map(({ pid, reason }) => `process ${pid} (${reason})`).join(", ")}: ` +
  "no signal ends a process while the kernel waits for a disk; check the disks";

interface Surroundings {
  readonly services: Services;
  readonly notifier: Notifier;
  readonly log: Logger;
  readonly hangups: Hangups;
}

/** Runs everything from the start of the first child to the end of the last. `configs`: at least one. */
async function runServices(
  configs: readonly Config[],
  { services: given, notifier, log, hangups }: Surroundings,
  { signal, onReady, readAgain }: UpOptions,
): Promise<void> {
  const [config] = configs as readonly [Config, ...Config[]];
  await using services = given;
  await using resources = new AsyncDisposableStack();
  using audit = new AuditLog(paths.serviceDatabase(config), (sentence) => log.error(sentence));
  const health = healthOf(configs, services, resources);
  const onNotice = (sentence: string) => log.warn(sentence);
  const observed = configs.map((each) =>
    resources.use(
      observePool(each, {
        version,
        services,
        health: () => health.currentOf(each.pool),
        recordsTrouble: audit.trouble,
        onNotice,
      }),
    ),
  );
  const metrics = observed.map((pool) => pool.metrics);
  const pools = observed.map(({ service }) => [service.config.pool, service] as const);
  const token = readOrMakeToken(paths.httpToken(config));
  const places = { tokens: paths.tokens(config), httpToken: paths.httpToken(config) };
  const tokens = new TokenBook(places, (sentence) => log.error(sentence));
  const sessions = new Sessions(readOrMakeToken(paths.sessionKey(config)), tokens);
  const links = new SignInLinks();
  using operations = new OperationTracker({
    database: audit.database,
    onTrouble: (sentence) => log.error(sentence),
  });
  await using http = serveHttp({
    address: config.httpAddress,
    names: config.httpNames,
    metricsOpen: config.metricsOpen,
    certificate: certificateOf(config),
    requestsPerSecond: config.httpRequestsPerSecond,
    admit: (shown) => tokens.admit(shown),
    audit,
    log,
    health: () => health.current(),
    metrics: async () => [readOwnMetrics(), ...(await Promise.all(metrics.map((reader) => reader.read())))],
    host: { pools: new Map(pools), operations, auditLog: audit.database },
    sessions,
    links,
  });
  const ended = untilAborted(signal);
  ended.catch(() => log.info("stopping"));
  try {
    await Promise.race([services.start(), ended]);
    await using _socket = http.listenAt(paths.httpSocket(config));
    await using _dashboard = await showDashboard(configs, http);
    // After the pages have started: whoever is on call sees there what it waits for.
    const onPaused = (reason: string) => log.warn(`not ready: ${reason}`);
    const proven = configs.map((each) =>
      proveJobsRun(each, { signal, onPaused, isWanted: () => services.isServed(each.pool) }),
    );
    await Promise.race([Promise.all(proven), services.failed, ended]);
    const tokenPath = paths.httpToken(config);
    using _room = keepRoom(config, log);
    using _troubles = tellTroubles(health, log, (found) => notifier.health(found));
    using recorder = new HistoryRecorder({
      database: audit.database,
      pools: observed.map(({ recorded }) => recorded),
      readyPools: async () => (await health.current()).pools.filter(({ ok }) => ok).map(({ pool }) => pool),
      onTrouble: (sentence) => log.warn(sentence),
    });
    health.phase = "running";
    recorder.start();
    notifier.ready();
    const grpcAddresses = configs.flatMap(({ pool, grpcAddress }) =>
      grpcAddress !== undefined && services.isServed(pool) ? [grpcAddress] : [],
    );
    const signInUrl = () => `${http.url}/sign-in?code=${links.make().code}`;
    onReady({ dashboardUrl: `${http.url}/`, signInUrl, token, tokenPath, grpcAddresses });
    const onOwn = (its: Config) =>
      http.reconfigure({
        names: its.httpNames,
        metricsOpen: its.metricsOpen,
        certificate: certificateOf(its),
        requestsPerSecond: its.httpRequestsPerSecond,
      });
    using reloader = new Reloader({ configs, read: readAgain, services, onOwn, notifier, log });
    using _reloads = hangups.onReload(() => reloader.request());
    await Promise.race([services.failed, ended]);
  } catch (error) {
    health.phase = "stopping";
    notifier.stopping(whyItStops(error, signal));
    if (!signal.aborted) throw error;
  }
}

function healthOf(configs: readonly Config[], services: Services, resources: AsyncDisposableStack): WholeHealth {
  const checks = configs.map((config) => {
    const probe = resources.use(new LocalPoolProbe(config));
    const check = new HealthCheck(config, () => services.watched(config.pool), probe);
    return [config.pool, resources.use(check)] as const;
  });
  return new WholeHealth(new Map(checks));
}

/** Undefined: plain HTTP. Throws invalid_argument if only one of the two files is named. */
function certificateOf({ httpCertificate: certificate, httpKey: key }: Config): CertificateFiles | undefined {
  if (certificate === undefined && key === undefined) return undefined;
  if (certificate !== undefined && key !== undefined) return { certificate, key };
  throw invalidArgument("HTTPS needs a certificate and its key: set both SNAPMILL_HTTP_CERT and SNAPMILL_HTTP_KEY");
}

const whyItStops = (error: unknown, { aborted }: AbortSignal): string =>
  aborted ? "stopping" : `stopping: ${asSnapmillError(error).message}`;

/**
 * One line for people, and for programs that wait for the word `ready`. Only on a terminal does it show a link that signs in
 * and the token: the output of a service goes to a log that others can read.
 */
export function readyLine(
  { dashboardUrl, signInUrl, token, tokenPath, grpcAddresses }: UpReady,
  isTerminal = process.stdout.isTTY === true,
): string {
  const where = isTerminal
    ? `sign in once, within 10 minutes, at ${signInUrl()}, or with the token ${token}, stored in ${tokenPath}`
    : `token in ${tokenPath}`;
  const socket = grpcAddresses.length === 0 ? "" : `; containerd: ${grpcAddresses.join(", ")}`;
  return `snapmill is ready; dashboard: ${dashboardUrl} (${where})${socket}`;
}

/** The one claim that the pool's worker may move: a name that moves on later is not taken back. */
async function claimToMove({ redisUrl: url, pool }: Config): Promise<string | undefined> {
  const claim = url === undefined ? undefined : await lookUpClaim(url, pool);
  return claim === undefined ? undefined : claimToken(claim);
}

async function becomeTheOne(configs: readonly Config[], log: Logger): Promise<Lock> {
  const [config] = configs as readonly [Config, ...Config[]];
  const pools = configs.map(({ pool }) => pool);
  const claimed = await claim(config, "up", (sentence) => log.warn(sentence), pools);
  if (claimed.kind === "ours") return claimed.lock;
  throw failedPrecondition(
    `a snapmill already runs for ${config.stateDir}: ${describeRunning(claimed.by)}; stop it, or use another --state-dir`,
  );
}

async function showDashboard(configs: readonly Config[], http: HttpServer): Promise<Dashboard> {
  const [config] = configs as readonly [Config, ...Config[]];
  const dashboard = await Dashboard.open({ redisUrl: redisUrl(config), pools: poolsIn(configs) });
  http.show(dashboard.app);
  return dashboard;
}

/** The pools in the state directory, those that are served first. */
function poolsIn(configs: readonly Config[]): readonly PoolName[] {
  const [config] = configs as readonly [Config, ...Config[]];
  const served = configs.map(({ pool }) => pool);
  const names = readdirSync(dirname(paths.poolDir(config)), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => asPoolName(entry.name))
    .filter((name) => !served.includes(name));
  return [...served, ...names.sort()];
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
