// Room: cli. Owns `snapmill audit`.
import type { Command } from "commander";
import type { PoolName } from "../../domain/identifiers.ts";
import { parseDuration } from "../../domain/units.ts";
import { type AuditedChange, listAudit, openAudit } from "../../service/audit.ts";
import { formatTime } from "../output/format.ts";
import { type Listing, printList } from "../output/output.ts";
import { accept, configOf, examples, type JsonOption, jsonOption, wholeNumber } from "../support/options.ts";
import { parsePoolName } from "../support/pool-options.ts";

interface AuditOptions extends JsonOption {
  readonly token?: string;
  readonly operation?: string;
  readonly ofPool?: PoolName;
  readonly result?: string;
  readonly since?: number;
  readonly limit: number;
}

export function addAudit(program: Command): void {
  program
    .command("audit")
    .description(
      "list the changes that were asked for over HTTP, the newest first: by whom, why, and what came of them",
    )
    .summary("list the changes that were asked for over HTTP")
    .option("--token <name>", "only those of this token")
    .option("--operation <name>", "only this operation of the API, such as prepare")
    .option("--of-pool <name>", "only those of this pool", parsePoolName)
    .option("--result <code>", "only those with this result: ok, begun, or a code such as permission_denied")
    .option("--since <age>", "only those of this time until now: 12h, 7d", accept(parseDuration))
    .option("--limit <n>", "not more than this many", wholeNumber(1, 1_000_000), 50)
    .addOption(jsonOption("one JSON object per change, with the request"))
    .addHelpText("after", whatIsKept)
    .addHelpText(
      "after",
      examples(
        ["audit", "the last 50 changes"],
        ["audit --token ci --since 7d", "what one program asked for in a week"],
        ["audit --result permission_denied --json", "what was refused, with the requests"],
      ),
    )
    .action(async (options: AuditOptions, command: Command) => {
      const { token, operation, ofPool: pool, result: code, since, limit } = options;
      using audited = openAudit(configOf(command));
      const sinceMs = since === undefined ? undefined : Date.now() - since;
      const pages = listAudit(audited, { token, operation, pool, code, sinceMs });
      await printList(first(limit, pages), auditListing, options);
    });
}

const whatIsKept = `
Kept for 90 days. A change is written down before it is made: one that stays 'begun' was interrupted, or still runs. Changes by
commands on this host, and by containerd, are not in this log.`;

function* first(limit: number, pages: Iterable<readonly AuditedChange[]>): Generator<AuditedChange> {
  let left = limit;
  for (const page of pages) {
    yield* page.slice(0, left);
    left -= page.length;
    if (left <= 0) return;
  }
}

const auditListing: Listing<AuditedChange> = {
  columns: [
    { title: "TIME" },
    { title: "TOKEN" },
    { title: "ROLE" },
    { title: "OPERATION" },
    { title: "POOL" },
    { title: "RESULT" },
    { title: "REASON" },
  ],
  row: ({ atMs, token, role, operation, method, path, pool, code, reason }) => [
    formatTime(atMs),
    token,
    role,
    operation ?? `${method} ${path}`,
    pool ?? "-",
    code,
    reason ?? "",
  ],
  json: (change) => change,
};
