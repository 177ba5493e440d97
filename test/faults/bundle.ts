// Owns the making of one file out of a program and all that it imports.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

/** A file, gone with the scope. The program in it finds what lies beside its sources. */
export interface Bundle extends AsyncDisposable {
  readonly path: string;
}

export async function bundle(program: string): Promise<Bundle> {
  const directory = await mkdtemp(join(tmpdir(), "bundle-"));
  const dispose = () => rm(directory, { recursive: true, force: true });
  try {
    const built = await Bun.build({
      entrypoints: [program],
      target: "bun",
      outdir: directory,
      plugins: [{ name: "places", setup: keepPlaces }],
    });
    const [output] = built.outputs;
    if (output === undefined) throw new Error(`nothing came of bundling ${program}`);
    return { path: output.path, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
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
