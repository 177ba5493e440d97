// Room: scripts. Owns `npm run package`: the release archive, with bun and the dependencies of production, ready to run.
//
//   npm run package [-- --out DIR]       default: dist
//
// The same commit makes the same bytes: names are sorted, and times are the commit's (or SOURCE_DATE_EPOCH).
import { cpSync, existsSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { manPages } from "../src/cli/completion/man-page.ts";
import { completionScript, shells } from "../src/cli/completion/scripts.ts";
import { commandTree } from "../src/cli/completion/tree.ts";
import { buildProgram } from "../src/cli/program.ts";
import { writeLicences } from "./package-licences.ts";

const root = join(import.meta.dir, "..");
const { version, files } = z
  .object({ version: z.string(), files: z.array(z.string()) })
  .parse(await Bun.file(join(root, "package.json")).json());
const lock = z.object({
  packages: z.record(z.string(), z.object({ dev: z.boolean().optional(), devOptional: z.boolean().optional() })),
});

/** What no program reads: types, source maps, documents; bunx, which is bun once more. */
const unread = /\.(map|md|markdown|d\.[cm]?ts)$|\/(bunx\.exe|\.package-lock\.json)$/i;
const licence = /licen[cs]e|notice|copying/i;
const isRead = (path: string): boolean => !unread.test(path) || licence.test(path);

async function output(...argv: readonly string[]): Promise<string> {
  const child = Bun.spawn([...argv], { cwd: root, stdout: "pipe", stderr: "inherit" });
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`${argv.join(" ")} failed: see above`);
  return text.trim();
}

/** In seconds since 1970. */
async function releaseTime(): Promise<number> {
  // The variable by which builders of packages give the time.
  const given = Bun.env["SOURCE_DATE_EPOCH"];
  const time = given ?? (await output("git", "log", "-1", "--format=%ct"));
  if (!/^\d+$/.test(time)) throw new Error(`SOURCE_DATE_EPOCH is not a number of seconds: ${time}`);
  return Number(time);
}

/** The directories in node_modules that production needs, as package-lock.json names them; none is below another. */
async function productionPackages(): Promise<readonly string[]> {
  const { packages } = lock.parse(await Bun.file(join(root, "package-lock.json")).json());
  const named = Object.entries(packages).filter(([path, found]) => path !== "" && !found.dev && !found.devOptional);
  // Those for other machines are in the lock file, too, and not here.
  return named.map(([path]) => path).filter((path) => existsSync(join(root, path)));
}

function copyPackages(packages: readonly string[], stage: string): void {
  for (const path of packages) {
    const own = join(root, path);
    // What is below is a package of its own, of production or not.
    const filter = (source: string) => isRead(source) && relative(own, source).split("/")[0] !== "node_modules";
    cpSync(own, join(stage, path), { recursive: true, filter, dereference: false });
  }
  mkdirSync(join(stage, "node_modules/.bin"));
  symlinkSync("../bun/bin/bun.exe", join(stage, "node_modules/.bin/bun"));
}

async function writeGenerated(stage: string, date: string): Promise<void> {
  const program = () => buildProgram(version);
  for (const { file, text } of manPages(await program(), { version, date }))
    await Bun.write(join(stage, "man", file), text);
  for (const shell of shells) {
    await Bun.write(join(stage, "completions", shell), completionScript(shell, commandTree(await program())));
  }
  await Bun.write(join(stage, "release"), `snapmill ${version}, ${date}\n`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { out: { type: "string", default: join(root, "dist") } } });
  const architecture = await output("uname", "-m");
  const name = `snapmill-${version}-linux-${architecture}`;
  const work = join(values.out, `.${name}`);
  const stage = join(work, name);
  rmSync(work, { recursive: true, force: true });
  mkdirSync(stage, { recursive: true });
  try {
    const shipped = files.filter((pattern) => !pattern.includes("*"));
    for (const path of [...shipped, "package.json", "README.md", "LICENSE", "deploy/kubernetes", "deploy/systemd"]) {
      cpSync(join(root, path), join(stage, path), { recursive: true });
    }
    mkdirSync(join(stage, "scripts"));
    cpSync(join(root, "scripts/needs.sh"), join(stage, "scripts/needs.sh"));
    cpSync(join(root, "deploy/install.sh"), join(stage, "install.sh"));
    const packages = await productionPackages();
    copyPackages(packages, stage);
    await writeLicences(
      join(stage, "LICENCES"),
      packages.map((path) => join(root, path)),
    );
    const time = await releaseTime();
    await writeGenerated(stage, new Date(time * 1000).toISOString().slice(0, 10));
    const archive = join(values.out, `${name}.tar.gz`);
    const reproducible = [
      "--sort=name",
      `--mtime=@${time}`,
      "--owner=0",
      "--group=0",
      "--numeric-owner",
      "--format=gnu",
    ];
    // Without a name and a time of its own.
    const packed = ["--mode=u+rwX,go+rX,go-w", "--use-compress-program=gzip -n", "-cf", archive, "-C", work, name];
    await output("tar", ...reproducible, ...packed);
    const digest = new Bun.CryptoHasher("sha256");
    for await (const chunk of Bun.file(archive).stream()) digest.update(chunk);
    await Bun.write(join(dirname(archive), "SHA256SUMS"), `${digest.digest("hex")}  ${name}.tar.gz\n`);
    console.log(archive);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

await main();
