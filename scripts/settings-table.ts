// Room: scripts. Owns writing the table of settings into the README, from the schema (npm run settings).
import { join } from "node:path";
import { settingsTable } from "../src/config/example.ts";

const path = join(import.meta.dir, "../README.md");
const text = await Bun.file(path).text();
const table = /^\| Variable \|.*\n(?:\|.*\n)+/m;
if (!table.test(text)) throw new Error(`${path} has no table that begins with | Variable |`);
await Bun.write(
  path,
  text.replace(table, () => `${settingsTable().join("\n")}\n`),
);
