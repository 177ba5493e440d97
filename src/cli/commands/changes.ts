// Room: cli. Owns the commands that change snapshots: prepare, view, commit, checkpoint, rm, label.
import type { Command } from "commander";
import type { SnapshotKey } from "../../domain/identifiers.ts";
import type { Labels } from "../../domain/snapshots.ts";
import { formatLabels } from "../output/format.ts";
import { mountListing, snapshotJson } from "../output/listings.ts";
import { notice, printJson, printLines, printList, say } from "../output/output.ts";
import { openPool } from "../pool/open.ts";
import { AlreadySaid, sentenceOf } from "../support/failures.ts";
import { catchInterruption } from "../support/interruption.ts";
import { fullName, requireFullName } from "../support/names.ts";
import {
  examples,
  type JsonOption,
  jsonOption,
  type LabelOption,
  labelOption,
  parseKey,
  parseKeys,
  parseLabels,
  type ScopeOption,
  scopeOption,
} from "../support/options.ts";

export function addChanges(program: Command): void {
  addPrepareOrView(program, "prepare", "create an active snapshot, which is writable");
  addPrepareOrView(program, "view", "create a view, which is read-only");
  addCommit(program);
  addCheckpoint(program);
  addRm(program);
  addLabel(program);
}

function addPrepareOrView(program: Command, verb: "prepare" | "view", description: string): void {
  program
    .command(verb)
    .description(`${description}; prints how to mount it`)
    .summary(description)
    .argument("<key>", "the new snapshot's key", parseKey)
    .argument(
      "[parent]",
      "the committed snapshot to start from (none: empty): its name, or an unambiguous prefix of a digest",
      parseKey,
    )
    .addOption(labelOption())
    .addOption(jsonOption("one JSON object per mount"))
    .addOption(scopeOption())
    .addHelpText("after", verb === "prepare" ? prepareExamples : viewExamples)
    .action(async (key: SnapshotKey, parent: SnapshotKey | undefined, options: ChangeOptions, command: Command) => {
      await using pool = await openPool(command);
      await pool.requireRunning();
      const { mounts } = await pool[verb]({
        scope: options.scope,
        key,
        parent: parent && (await fullName(pool, options.scope, parent)),
        labels: options.label ?? {},
      });
      await printList(mounts, mountListing, options);
    });
}

type ChangeOptions = ScopeOption & LabelOption & JsonOption;

const prepareExamples = examples(
  ["prepare build", "an empty, writable file system"],
  ["prepare build sha256:ab12cd34ef56", "a writable copy of an unpacked image"],
  ["prepare big --label containerd.io/snapshot/max-size=20GiB", "on a device of 20 GiB"],
);
const viewExamples = examples(
  ["view look sha256:ab12cd34ef56", "read-only, of an unpacked image"],
  ["view look my-image --json", "its mount as JSON"],
);

function addCommit(program: Command): void {
  program
    .command("commit")
    .description("turn an active snapshot into a committed one, which never changes again")
    .summary("turn an active snapshot into a committed one")
    .argument("<name>", "the committed snapshot's name", parseKey)
    .argument("<key>", "the active snapshot's key, which is freed", parseKey)
    .addOption(labelOption())
    .addOption(scopeOption())
    .addHelpText("after", examples(["commit my-image build", "keep what was written to 'build' as 'my-image'"]))
    .action(async (name: SnapshotKey, key: SnapshotKey, options: ScopeOption & LabelOption, command: Command) => {
      await using pool = await openPool(command);
      const { scope } = options;
      await pool.requireRunning();
      const directories = await pool.mountPoints({ scope, key });
      await pool.commit({ scope, name, key, labels: options.label ?? {} });
      for (const dir of directories) {
        notice(`note: ${key} is still mounted on ${dir}: 'snapmill umount' discards what is written there from now on`);
      }
    });
}

function addCheckpoint(program: Command): void {
  program
    .command("checkpoint")
    .description("commit what an active snapshot holds now; it stays active and mounted, as a child of that")
    .summary("commit what an active snapshot holds now, and go on")
    .argument("<name>", "the committed snapshot's name", parseKey)
    .argument("<key>", "the active snapshot's key, which stays", parseKey)
    .addOption(labelOption())
    .addOption(scopeOption())
    .addHelpText(
      "after",
      examples(["checkpoint before-upgrade build", "keep 'build' as it is now as 'before-upgrade'"]),
    )
    .action(async (name: SnapshotKey, key: SnapshotKey, options: ScopeOption & LabelOption, command: Command) => {
      await using pool = await openPool(command);
      await pool.requireRunning();
      await pool.checkpoint({ scope: options.scope, name, key, labels: options.label ?? {} });
    });
}

interface RmOptions extends ScopeOption {
  readonly wait?: true;
}

function addRm(program: Command): void {
  program
    .command("rm")
    .description("remove snapshots, in the order given; one that fails does not stop the others")
    .summary("remove snapshots")
    .argument("<key...>", "keys of active and view snapshots, names of committed ones, in full", parseKeys)
    .option("--wait", "return only when their devices are gone, too, and the space is free")
    .addOption(scopeOption())
    .addHelpText("after", examples(["rm build", "remove one"], ["rm child parent", "children before their parent"]))
    .action(async (keys: readonly SnapshotKey[], { scope, wait }: RmOptions, command: Command) => {
      let failures = 0;
      await using pool = await openPool(command);
      await pool.requireRunning();
      using interruption = catchInterruption();
      const remove = wait ? pool.removeCompletely : pool.remove;
      for (const key of keys) {
        try {
          await remove({ scope, key: await requireFullName(pool, scope, key, interruption) }, interruption);
        } catch (error) {
          interruption.signal.throwIfAborted();
          failures += 1;
          say(sentenceOf(error) ?? "");
        }
      }
      if (failures > 0) throw new AlreadySaid();
    });
}

function addLabel(program: Command): void {
  program
    .command("label")
    .description("set labels of a snapshot; an empty value removes the label")
    .summary("set labels of a snapshot")
    .argument("<name>", "the snapshot's key or name, in full", parseKey)
    .argument("<label...>", "NAME=VALUE", parseLabels)
    .addOption(jsonOption("the snapshot as one JSON object"))
    .addOption(scopeOption())
    .addHelpText("after", examples(["label build team=edge", "set it"], ["label build team=", "remove it"]))
    .action(async (key: SnapshotKey, labels: Labels, options: ScopeOption & JsonOption, command: Command) => {
      await using pool = await openPool(command);
      const full = await requireFullName(pool, options.scope, key);
      const snapshot = await pool.label({ scope: options.scope, key: full, labels });
      if (options.json) await printJson(snapshotJson(snapshot));
      else await printLines([formatLabels(snapshot.labels)].filter((line) => line !== ""));
    });
}
