// Owns the bundling of a program and all its imports into one file.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

/** A temporary file. The program in it still finds the files beside its sources. */
export interface Bundle extends AsyncDisposable {
  readonly path: string;
}

const threadProgram = join(import.meta.dir, "../../workers/dm-thread.ts");

export async function bundle(program: string): Promise<Bundle> {
  const directory = await mkdtemp(join(tmpdir(), "bundle-"));
  const dispose = () => rm(directory, { recursive: true, force: true });
  try {
    const thread = await build(threadProgram, directory);
    return { path: await build(program, directory, thread), [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Returns the bundled file. `thread`: the program of the thread that calls libdevmapper. */
async function build(program: string, outdir: string, thread?: string): Promise<string> {
  const plugins = [{ name: "places", setup: keepPlaces(thread) }];
  const built = await Bun.build({ entrypoints: [program], target: "bun", outdir, plugins });
  const [output] = built.outputs;
  if (output === undefined) throw new Error(`bundling produced nothing: ${program}`);
  return output.path;
}

/** Gives a source file its own location: `import.meta` would name that of the bundle. */
const keepPlaces =
  (thread: string | undefined) =>
  (builder: Bun.PluginBuilder): void => {
    builder.onLoad({ filter: /\/(src|workers)\/.*\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      const nearby = thread === undefined ? source : source.replace(/"[^"]*\/dm-thread\.ts"/, JSON.stringify(thread));
      return {
        loader: "ts",
        contents: nearby
          .replaceAll("import.meta.dir", JSON.stringify(dirname(path)))
          .replaceAll("import.meta.url", JSON.stringify(pathToFileURL(path).href)),
      };
    });
  };
