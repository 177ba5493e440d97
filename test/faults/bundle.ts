// Owns the making of one file out of a program and all that it imports.
import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

/** Returns the path of the file, which is deleted when this process ends. The program finds what lies beside its sources. */
export async function bundle(program: string): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), "bundle-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  const built = await Bun.build({
    entrypoints: [program],
    target: "bun",
    outdir: directory,
    plugins: [{ name: "places", setup: keepPlaces }],
  });
  const [output] = built.outputs;
  if (output === undefined) throw new Error(`nothing came of bundling ${program}`);
  return output.path;
}

/** A source file says where it lies itself: in the bundle it would be told where the bundle lies. */
const keepPlaces = (builder: Bun.PluginBuilder): void => {
  builder.onLoad({ filter: /\/(src|workers)\/.*\.ts$/ }, async ({ path }) => ({
    loader: "ts",
    contents: (await readFile(path, "utf8"))
      .replaceAll("import.meta.dir", JSON.stringify(dirname(path)))
      .replaceAll("import.meta.url", JSON.stringify(pathToFileURL(path).href)),
  }));
};
