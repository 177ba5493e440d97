// Room: cli. Owns the command tree, and how usage errors and help are printed.
import { Command } from "commander";
import { say } from "./output/output.ts";
import { usageSentence } from "./support/failures.ts";
import { hostOption } from "./support/host.ts";
import { configFileOption, poolOption, stateDirOption } from "./support/options.ts";

const firstSteps = `
Getting started:
  $ snapmill unpack oci:./image:latest          # starts what it needs, and stops it afterwards
  $ snapmill up                                 # or keep everything running (in another terminal)
  $ snapmill ls                                 # list the snapshots
  $ snapmill mount sha256:ab12cd34ef56 /mnt     # look at one; the first digits of a digest are enough

'snapmill COMMAND --help' shows more, with examples.`;

type Add = (program: Command) => void;

interface Part {
  readonly names: readonly string[];
  readonly load: () => Promise<Add>;
}

const one = (name: string, load: Part["load"]): Part => ({ names: [name], load });

/** All commands, in the groups and in the order of the help. */
const groups: Readonly<Record<string, readonly Part[]>> = {
  "Run:": [
    one("up", async () => (await import("./commands/up.ts")).addUp),
    one("status", async () => (await import("./commands/status.ts")).addStatus),
    one("hosts", async () => (await import("./commands/hosts.ts")).addHosts),
    one("queues", async () => (await import("./commands/queues.ts")).addQueues),
    one("drain", async () => (await import("./commands/queues.ts")).addDrain),
    one("resume", async () => (await import("./commands/queues.ts")).addResume),
    one("pool", async () => (await import("./commands/pool.ts")).addPool),
    one("config", async () => (await import("./commands/config.ts")).addConfig),
  ],
  "Images:": [
    one("unpack", async () => (await import("./commands/unpack.ts")).addUnpack),
    one("unpacks", async () => (await import("./commands/unpacks.ts")).addUnpacks),
    one("batch", async () => (await import("./commands/batch.ts")).addBatch),
    one("images", async () => (await import("./commands/images.ts")).addImages),
  ],
  "Look at snapshots:": [
    one("ls", async () => (await import("./commands/ls.ts")).addLs),
    one("stat", async () => (await import("./commands/stat.ts")).addStat),
    one("usage", async () => (await import("./commands/usage.ts")).addUsage),
    one("mounts", async () => (await import("./commands/mounts.ts")).addMounts),
    one("mount", async () => (await import("./commands/mount.ts")).addMount),
    one("umount", async () => (await import("./commands/umount.ts")).addUmount),
  ],
  "Change snapshots:": [
    {
      names: ["prepare", "view", "commit", "checkpoint", "rm", "label"],
      load: async () => (await import("./commands/changes.ts")).addChanges,
    },
  ],
  "Access over HTTP:": [
    one("sign-in", async () => (await import("./commands/sign-in.ts")).addSignIn),
    one("token", async () => (await import("./commands/token.ts")).addToken),
    one("audit", async () => (await import("./commands/audit.ts")).addAudit),
  ],
  "Check and repair:": [
    one("doctor", async () => (await import("./commands/doctor.ts")).addDoctor),
    one("cleanup", async () => (await import("./commands/cleanup.ts")).addCleanup),
    one("removals", async () => (await import("./commands/removals.ts")).addRemovals),
  ],
  "Shells:": [one("completion", async () => (await import("./commands/completion.ts")).addCompletion)],
};

/** These tell of all commands, or of none. */
const wholeTree = "completion";
const nothing = ["--version", "-V"];

/**
 * The command tree; for a command line with the arguments `args`, as much of it as they need: to load all commands takes
 * longer than most of them run. Default: all.
 */
export async function buildProgram(version: string, args: readonly string[] = []): Promise<Command> {
  const program = new Command("snapmill")
    .description("Unpacks container images into copy-on-write snapshots, through a job queue.")
    .version(version, "-V, --version", "print the version")
    .helpOption("-h, --help", "show help")
    .helpCommand(false)
    .addOption(configFileOption())
    .addOption(stateDirOption())
    .addOption(poolOption())
    .addOption(hostOption())
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: (text) => say(usageSentence(text)) })
    .exitOverride()
    .addHelpText("after", firstSteps);
  for (const [heading, parts] of Object.entries(neededBy(args))) {
    program.commandsGroup(heading);
    for (const add of await Promise.all(parts.map(({ load }) => load()))) add(program);
  }
  return program;
}

/** An option before the command's name may have a value: what comes first is looked at alone. */
function neededBy([first = ""]: readonly string[]): typeof groups {
  if (nothing.includes(first)) return {};
  const isNamed = ({ names }: Part) => first !== wholeTree && names.includes(first);
  const named = Object.entries(groups).map(([heading, parts]) => [heading, parts.filter(isNamed)] as const);
  return named.some(([, parts]) => parts.length > 0) ? Object.fromEntries(named) : groups;
}
