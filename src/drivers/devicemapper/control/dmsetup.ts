// Room: drivers. Owns device-mapper's control through dmsetup: one process for each call.
import { CommandError, runCommand } from "../../../system/process/commands.ts";
import {
  createArguments,
  infoArguments,
  messageArguments,
  reloadArguments,
  removeArguments,
  resumeArguments,
  statusArguments,
  suspendArguments,
  tableArguments,
  targetsArguments,
  versionArguments,
} from "./arguments.ts";
import { type DmControl, DmError, isDmError } from "./control.ts";
import { refusal } from "./failures.ts";
import { parseInfo, parseStatus, parseTargets, parseVersion } from "./parsing.ts";
import { parseTableLine } from "./tables.ts";

export interface DmControlOptions {
  /** Cancels the calls under way, and all later ones. */
  readonly signal?: AbortSignal | undefined;
  /** For one call. Default: one minute. */
  readonly timeoutMs?: number | undefined;
}

/** Needs only the program dmsetup: the request is in its arguments, the answer in its output. */
export function createDmsetupControl(options: DmControlOptions = {}): DmControl {
  /** `args` begin with the verb. */
  async function run(name: string, args: readonly string[], isBrief: boolean): Promise<string> {
    try {
      const { signal, timeoutMs } = options;
      return (await runCommand("dmsetup", args, { signal, timeoutMs, isBrief })).stdout;
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      throw refusal(args[0] ?? "", name, error.stderr);
    }
  }

  const ask = (name: string, args: readonly string[]) => run(name, args, false);
  const order = (name: string, args: readonly string[]) => run(name, args, true);

  return {
    name: "dmsetup",
    version: async () => parseVersion(await ask("", versionArguments())),
    targets: async () => parseTargets(await ask("", targetsArguments())),

    create: async (name, table) => void (await order(name, createArguments(name, table))),
    reload: async (name, table) => void (await order(name, reloadArguments(name, table))),
    suspend: async (name, { lockFs = true, flush = true } = {}) =>
      void (await order(name, suspendArguments(name, lockFs, flush))),
    resume: async (name) => void (await order(name, resumeArguments(name))),
    remove: async (name, { deferred = false } = {}) => void (await order(name, removeArguments(name, deferred))),
    message: async (pool, message) => void (await order(pool, messageArguments(pool, message))),

    info: (name) => unlessMissing(async () => parseInfo(await ask(name, infoArguments(name)))[0]),
    list: async (prefix) =>
      parseInfo(await ask("", infoArguments())).filter((device) => device.name.startsWith(prefix)),
    table: (name) =>
      unlessMissing(async () => {
        const line = await ask(name, tableArguments(name));
        return line.trim() === "" ? undefined : parseTableLine(name, line);
      }),
    status: async (name, { flush = false } = {}) => {
      const line = await ask(name, statusArguments(name, flush));
      if (line.trim() === "") throw new DmError("ENXIO", `the device ${name} has no live table`);
      return parseStatus(name, line);
    },

    // Nothing is kept between two calls.
    [Symbol.asyncDispose]: async () => undefined,
  };
}

async function unlessMissing<T>(look: () => Promise<T>): Promise<T | undefined> {
  try {
    return await look();
  } catch (error) {
    if (isDmError(error, "ENXIO")) return undefined;
    throw error;
  }
}
