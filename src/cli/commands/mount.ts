// Room: cli. Owns `snapmill mount`.
import type { Command } from "commander";
import type { SnapshotKey } from "../../domain/identifiers.ts";
import { LocalService } from "../../service/local-service.ts";
import { mount, type Trust } from "../../service/mount.ts";
import { fullName } from "../../service/names.ts";
import { notice, say } from "../output/output.ts";
import { catchInterruption } from "../support/interruption.ts";
import { configOf, examples, parseKey, type ScopeOption, scopeOption } from "../support/options.ts";

export function addMount(program: Command): void {
  program
    .command("mount")
    .description("mount a snapshot: an active one to be written to, others read-only")
    .summary("mount a snapshot")
    .argument("<name>", "its key or name, or the unambiguous beginning of a digest", parseKey)
    .argument("<dir>", "an existing directory")
    .option("--suid", "let programs of the image run with the rights of their owners (mount option suid)")
    .option("--dev", "let device nodes of the image open the host's devices (mount option dev)")
    .addOption(scopeOption())
    .addHelpText("after", howItMounts)
    .addHelpText(
      "after",
      examples(
        ["mount sha256:ab12cd34ef56 /mnt", "an unpacked image: by a view that 'umount' removes again"],
        ["mount build /mnt", "an active snapshot, to be written to"],
      ),
    )
    .action(async (name: SnapshotKey, dir: string, { scope, suid, dev }: MountOptions, command: Command) => {
      const trust: readonly Trust[] = [
        "exec",
        ...(suid ? (["suid"] as const) : []),
        ...(dev ? (["dev"] as const) : []),
      ];
      await using service = new LocalService(configOf(command), notice);
      using interruption = catchInterruption();
      const key = fullName(service, scope, name);
      const { kind } = await mount(service, { scope, key, dir, trust }, interruption);
      for (const warning of warningsOf(trust, dir)) say(`snapmill: warning: ${warning}`);
      say(
        `snapmill: mounted ${kind === "active" ? "to be written to" : "read-only"}; 'snapmill umount ${dir}' ends it`,
      );
    });
}

interface MountOptions extends ScopeOption {
  readonly suid?: true;
  readonly dev?: true;
}

const howItMounts = `
Mounted with nosuid and nodev: programs of the image cannot gain root's rights, nor open devices, when users of this host run them.`;

const warningsOf = (trust: readonly Trust[], dir: string): string[] => [
  ...(trust.includes("suid")
    ? [`every user who reaches ${dir} can run its setuid programs, as root if they are root's`]
    : []),
  ...(trust.includes("dev") ? [`every user who reaches ${dir} can open the host's devices by its device nodes`] : []),
];
