// Room: workers. Owns the process that serves containerd: its socket, and what its calls work on.
import { checkAddress } from "../src/api/grpc/address.ts";
import { serveSnapshots } from "../src/api/grpc/server.ts";
import { readConfig, wantsTraces } from "../src/config.ts";
import { invalidArgument } from "../src/domain/errors.ts";
import { containerdScope } from "../src/domain/identifiers.ts";
import { createLogger } from "../src/logger.ts";
import { ServerService } from "../src/service/server-service.ts";
import { announceReady } from "../src/supervisor/ready.ts";
import { claimSocketPath } from "../src/system/file/socket-path.ts";
import { startTelemetry } from "../src/telemetry/start.ts";
import { runProcess } from "./run-process.ts";

/** The umask of the socket: only its owner can use it, from the moment it exists. */
const onlyOwner = 0o177;

const config = readConfig();
const log = createLogger({ name: "grpc", level: config.logLevel, format: config.logFormat });
const telemetry = await startTelemetry({ process: "grpc", isTraced: wantsTraces(), log });

async function work(stopped: Promise<string>): Promise<void> {
  if (config.grpcAddress === undefined) throw invalidArgument("there is no address to serve containerd at");
  using path = await claimSocketPath(checkAddress(config.grpcAddress));
  process.umask(onlyOwner);
  await using service = new ServerService(config);
  const context = { scope: containerdScope, service };
  await using _server = await serveSnapshots({ address: path.path, context, log });
  announceReady();
  log.info({ signal: await stopped }, "stopping: the calls that are under way are answered first");
}

await runProcess(log, work, telemetry);
