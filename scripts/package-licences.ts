// Room: scripts. Owns the file of licences in the release: of each package in it, its name, its licence and its text.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

const manifest = z.object({ name: z.string(), version: z.string(), license: z.string().optional() });
const licenceFile = /^(licen[cs]e|copying|notice)/i;

/** `directories`: of the packages. Throws for a package that does not say under which licence it is. */
export async function writeLicences(path: string, directories: readonly string[]): Promise<void> {
  const parts: string[] = [];
  for (const directory of directories.toSorted()) {
    const { name, version, license } = manifest.parse(await Bun.file(join(directory, "package.json")).json());
    const files = readdirSync(directory)
      .filter((file) => licenceFile.test(file))
      .toSorted();
    if (license === undefined && files.length === 0) throw new Error(`${name} ${version} does not name its licence`);
    const texts = await Promise.all(files.map((file) => Bun.file(join(directory, file)).text()));
    parts.push([`${name} ${version}: ${license ?? "see below"}`, ...texts.map((text) => text.trim())].join("\n\n"));
  }
  await Bun.write(path, `${parts.join(`\n\n${"-".repeat(72)}\n\n`)}\n`);
}
