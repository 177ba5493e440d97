// Room: drivers. Owns device-mapper's control through libdevmapper: no process, and a thread that may wait.
import { messageText } from "../arguments.ts";
import { type DmControl, DmError, type DmInfo, type DmTable, isDmError } from "../control.ts";
import type { DmControlOptions } from "../dmsetup.ts";
import { refusal } from "../failures.ts";
import { escapeName, unescapeName } from "../names.ts";
import { parseStatus } from "../parsing.ts";
import { parseTableLine, tableParameters } from "../tables.ts";
import { LibdevmapperThread, type Refused } from "./thread.ts";

const defaultTimeoutMs = 60_000;

/**
 * Needs libdevmapper.so.1.02.1, which Debian has in the package libdevmapper1.02.1 (`failed_precondition` without).
 * An uninterruptible call blocks a thread of this process: a pool that queues writes when it is full is better controlled
 * through dmsetup.
 */
export function createLibdevmapperControl(options: DmControlOptions = {}): DmControl {
  const thread = new LibdevmapperThread(options.timeoutMs ?? defaultTimeoutMs, options.signal);
  const refusedTo = (verb: string, name: string) => (refused: Refused) => refusalOf(verb, name, refused);

  return {
    name: "libdevmapper",
    version: () => thread.call(refusedTo("version", ""), "version"),
    targets: async () => new Map(await thread.call(refusedTo("targets", ""), "targets")),

    create: async (name, table) => thread.call(refusedTo("create", name), "create", escapeName(name), targetOf(table)),
    reload: async (name, table) => thread.call(refusedTo("reload", name), "reload", escapeName(name), targetOf(table)),
    suspend: async (name, { lockFs = true, flush = true } = {}) =>
      thread.call(refusedTo("suspend", name), "suspend", escapeName(name), lockFs, flush),
    resume: async (name) => thread.call(refusedTo("resume", name), "resume", escapeName(name)),
    remove: async (name, { deferred = false } = {}) =>
      thread.call(refusedTo("remove", name), "remove", escapeName(name), deferred),
    message: async (pool, message) =>
      thread.call(refusedTo("message", pool), "message", escapeName(pool), messageText(message)),

    info: async (name) => named(await thread.call(refusedTo("info", name), "info", escapeName(name))),
    list: async (prefix) => {
      const devices = await thread.call(refusedTo("list", prefix), "list", plainBeginning(prefix));
      return devices.map(named).filter((device) => device?.name.startsWith(prefix) === true);
    },
    table: async (name) => {
      try {
        const lines = await thread.call(refusedTo("table", name), "table", escapeName(name));
        return lines.length === 0 ? undefined : parseTableLine(name, lines.join("\n"));
      } catch (error) {
        if (isDmError(error, "ENXIO")) return undefined;
        throw error;
      }
    },
    status: async (name, { flush = false } = {}) => {
      const lines = await thread.call(refusedTo("status", name), "status", escapeName(name), flush);
      if (lines === undefined) throw new DmError("ENXIO", `there is no device ${name}`);
      if (lines.length === 0) throw new DmError("ENXIO", `the device ${name} has no live table`);
      return parseStatus(name, lines.join("\n"));
    },

    [Symbol.asyncDispose]: () => thread[Symbol.asyncDispose](),
  };
}

const targetOf = (table: DmTable) => ({
  sectors: table.sectors,
  target: table.target,
  parameters: tableParameters(table),
});

/** Escaped and unescaped names both begin so. */
const plainBeginning = (prefix: string): string => /^[A-Za-z0-9#+\-.:=@_]*/.exec(prefix)?.[0] ?? "";

function named<Info extends DmInfo | undefined>(info: Info): Info {
  return info === undefined ? info : { ...info, name: unescapeName(info.name) };
}

/** By the kernel's errno; for errors that the library found itself, there is only its text. */
function refusalOf(verb: string, name: string, { errno, said }: Refused): Error {
  if (errno === undefined) return refusal(verb, name, said.join("\n"));
  const told = said.findLast((line) => line.includes("failed:"));
  return new DmError(errno, `device-mapper refuses ${verb} ${name}: ${told ?? errno}`);
}
