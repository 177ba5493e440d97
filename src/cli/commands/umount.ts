// Room: cli. Owns `snapmill umount`.
import type { Command } from "commander";
import { openHere } from "../pool/open.ts";
import { examples, type ScopeOption, scopeOption } from "../support/options.ts";

export function addUmount(program: Command): void {
  program
    .command("umount")
    .description("unmount a snapshot; a view that 'mount' created is removed")
    .summary("unmount a snapshot")
    .argument("<dir>", "where it is mounted")
    .addOption(scopeOption())
    .addHelpText("after", examples(["umount /mnt", "undo 'snapmill mount'"]))
    .action(async (dir: string, { scope }: ScopeOption, command: Command) => {
      await using service = await openHere(command);
      const { umount } = await import("../../service/mount.ts");
      await umount(service, { scope, dir });
    });
}
