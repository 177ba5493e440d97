// Room: cli. Owns the command tree, and how usage errors and help are printed.
import { Command } from "commander";
import { addAudit } from "./commands/audit.ts";
import { addBatch } from "./commands/batch.ts";
import { addChanges } from "./commands/changes.ts";
import { addCleanup } from "./commands/cleanup.ts";
import { addCompletion } from "./commands/completion.ts";
import { addConfig } from "./commands/config.ts";
import { addDoctor } from "./commands/doctor.ts";
import { addHosts } from "./commands/hosts.ts";
import { addImages } from "./commands/images.ts";
import { addLs } from "./commands/ls.ts";
import { addMount } from "./commands/mount.ts";
import { addMounts } from "./commands/mounts.ts";
import { addPool } from "./commands/pool.ts";
import { addDrain, addQueues, addResume } from "./commands/queues.ts";
import { addRemovals } from "./commands/removals.ts";
import { addSignIn } from "./commands/sign-in.ts";
import { addStat } from "./commands/stat.ts";
import { addStatus } from "./commands/status.ts";
import { addToken } from "./commands/token.ts";
import { addUmount } from "./commands/umount.ts";
import { addUnpack } from "./commands/unpack.ts";
import { addUnpacks } from "./commands/unpacks.ts";
import { addUp } from "./commands/up.ts";
import { addUsage } from "./commands/usage.ts";
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

export function buildProgram(version: string): Command {
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

  program.commandsGroup("Run:");
  addUp(program);
  addStatus(program);
  addHosts(program);
  addQueues(program);
  addDrain(program);
  addResume(program);
  addPool(program);
  addConfig(program);
  program.commandsGroup("Images:");
  addUnpack(program);
  addUnpacks(program);
  addBatch(program);
  addImages(program);
  program.commandsGroup("Look at snapshots:");
  addLs(program);
  addStat(program);
  addUsage(program);
  addMounts(program);
  addMount(program);
  addUmount(program);
  program.commandsGroup("Change snapshots:");
  addChanges(program);
  program.commandsGroup("Access over HTTP:");
  addSignIn(program);
  addToken(program);
  addAudit(program);
  program.commandsGroup("Check and repair:");
  addDoctor(program);
  addCleanup(program);
  addRemovals(program);
  program.commandsGroup("Shells:");
  addCompletion(program);
  return program;
}
