// Room: cli. Owns `snapmill umount`.
import type { Command } from "commander";
import { LocalService } from "../service/local-service.ts";
import { umount } from "../service/mount.ts";
import { configOf, examples, type ScopeOption, scopeOption } from "./options.ts";
import { notice } from "./output.ts";

export function addUmount(program: Command): void {
  program
    .command("umount")
    .description("unmount a snapshot; a view that 'mount' made goes too")
    .summary("unmount a snapshot")
    .argument("<dir>", "where it is mounted")
    .addOption(scopeOption())
    .addHelpText("after", examples(["umount /mnt", "undo 'snapmill mount'"]))
    .action(async (dir: string, { scope }: ScopeOption, command: Command) => {
      await using service = new LocalService(configOf(command), notice);
      await umount(service, scope, dir);
    });
}
