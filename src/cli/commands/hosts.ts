// Room: cli. Owns `snapmill hosts`.
import type { Command } from "commander";
import { formatDuration } from "../../domain/units.ts";
import type { PoolHost } from "../../service/hosts.ts";
import { formatTime } from "../output/format.ts";
import { type Listing, printList } from "../output/output.ts";
import { openPool } from "../pool/open.ts";
import { examples, type JsonOption, jsonOption } from "../support/options.ts";

export function addHosts(program: Command): void {
  program
    .command("hosts")
    .description("list the pools that are claimed in Redis: the host that each belongs to, and when it was last seen")
    .summary("list which host serves which pool")
    .addOption(jsonOption("one JSON object per pool"))
    .addHelpText("after", examples(["hosts", "all hosts that share the Redis of REDIS_URL"]))
    .action(async (options: JsonOption, command: Command) => {
      await using pool = await openPool(command);
      await printList(await pool.listHosts({}), hostListing, options);
    });
}

const hostListing: Listing<PoolHost> = {
  columns: [
    { title: "POOL" },
    { title: "HOST" },
    { title: "STATE DIRECTORY" },
    { title: "CLAIMED" },
    { title: "SEEN" },
  ],
  row: ({ pool, host, stateDir, claimedAtMs, isAlive, unseenMs }) => [
    pool,
    host,
    stateDir,
    formatTime(claimedAtMs),
    isAlive ? "now" : `${formatDuration(unseenMs)} ago`,
  ],
  json: (found) => found,
};
