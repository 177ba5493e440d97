// Room: workers. Owns the process that serves containerd: its socket, and what its calls work on.
import { checkAddress } from "../src/api/grpc/address.ts";
import type { Context } from "../src/api/grpc/context.ts";
import { serveSnapshots } from "../src/api/grpc/server.ts";
import { paths, readConfig, redisUrl } from "../src/config.ts";
import { invalidArgument } from "../src/domain/errors.ts";
import { containerdScope } from "../src/domain/identifiers.ts";
import { chooseDriver, devicePathOf, usedBytesOf } from "../src/drivers/open.ts";
import { createLogger } from "../src/logger.ts";
import { Changes } from "../src/service/changes.ts";
import { DatabaseReader } from "../src/service/database-reader.ts";
import { announceReady } from "../src/supervisor/ready.ts";
import { claimSocketPath } from "../src/system/file/socket-path.ts";
import { databaseNumber } from "./claim-holder.ts";
import { runProcess } from "./run-process.ts";

/** Of the socket: its owner's alone, from the moment it exists. */
const onlyOwner = 0o177;

const config = readConfig();
const log = createLogger({ name: "grpc", level: config.logLevel });

function contextOf(reader: DatabaseReader, changes: Changes): Context {
  const driver = chooseDriver(config.driver, paths.poolDir(config));
  return {
    scope: containerdScope,
    service: {
      database: () => reader.current(),
      change: (name, given, options = {}) => changes.change(name, given, options),
      devicePath: (deviceName) => devicePathOf(driver, paths.devices(config), deviceName),
      usedBytes: (device) => usedBytesOf(driver, paths.poolDir(config), device),
    },
  };
}

async function work(stopped: Promise<string>): Promise<void> {
  if (config.grpcAddress === undefined) throw invalidArgument("there is no address to serve containerd at");
  using path = await claimSocketPath(checkAddress(config.grpcAddress));
  process.umask(onlyOwner);
  using reader = new DatabaseReader(paths.database(config));
  const database = () => databaseNumber(reader.current());
  await using changes = new Changes({ redisUrl: redisUrl(config), pool: config.pool, database });
  await using _server = await serveSnapshots({ address: path.path, context: contextOf(reader, changes), log });
  announceReady();
  log.info({ signal: await stopped }, "stopping: the calls that are under way are answered first");
}

await runProcess(log, work);
