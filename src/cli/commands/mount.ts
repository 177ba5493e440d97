// Room: cli. Owns `snapmill mount`.
import type { Command } from "commander";
import type { SnapshotKey } from "../../domain/identifiers.ts";
import type { Trust } from "../../service/mount.ts";
import { say } from "../output/output.ts";
import { openHere } from "../pool/open.ts";
import { catchInterruption } from "../support/interruption.ts";
import { fullName } from "../support/names.ts";
import { examples, parseKey, type ScopeOption, scopeOption } from "../support/options.ts";

export function addMount(program: Command): void {
  program
    .command("mount")
    .description("mount a snapshot: an active one read-write, others read-only")
    .summary("mount a snapshot")
    .argument("<name>", "its key or name, or an unambiguous prefix of a digest", parseKey)
    .argument("<dir>", "an existing directory")
    .option("--suid", "allow the image's setuid programs to take effect (mount option suid)")
    .option("--dev", "allow the image's device nodes to open the host's devices (mount option dev)")
    .addOption(scopeOption())
    .addHelpText("after", howItMounts)
    .addHelpText(
      "after",
      examples(
        ["mount sha256:ab12cd34ef56 /mnt", "an unpacked image, through a view that 'umount' removes"],
        ["mount build /mnt", "an active snapshot, read-write"],
      ),
    )
    .action(async (name: SnapshotKey, dir: string, { scope, suid, dev }: MountOptions, command: Command) => {
      const trust: readonly Trust[] = [
        "exec",
        ...(suid ? (["suid"] as const) : []),
        ...(dev ? (["dev"] as const) : []),
      ];
      await using service = await openHere(command);
      const [{ poolOf }, { mount }] = await Promise.all([import("../pool/local.ts"), import("../../service/mount.ts")]);
      using interruption = catchInterruption();
      const key = await fullName(poolOf(service), scope, name);
      const { kind } = await mount(service, { scope, key, dir, trust }, interruption);
      for (const warning of warningsOf(trust, dir)) say(`snapmill: warning: ${warning}`);
      say(`snapmill: mounted ${kind === "active" ? "read-write" : "read-only"}; 'snapmill umount ${dir}' unmounts it`);
    });
}

interface MountOptions extends ScopeOption {
  readonly suid?: true;
  readonly dev?: true;
}

const howItMounts = `
The mount has nosuid and nodev: when users of this host run the image's programs, these cannot gain root's rights or open
devices.`;

const warningsOf = (trust: readonly Trust[], dir: string): string[] => [
  ...(trust.includes("suid")
    ? [`every user who can access ${dir} can run its setuid programs, as root if root owns them`]
    : []),
  ...(trust.includes("dev")
    ? [`every user who can access ${dir} can open the host's devices through its device nodes`]
    : []),
];
