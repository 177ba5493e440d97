// Room: scripts. The demo: unpacks a real image with the command line of snapmill, and compares it file by file.
import { existsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { printLines, say, tolerateClosedPipes } from "../src/cli/output/output.ts";
import { exitStatusOf, sentenceOf } from "../src/cli/support/failures.ts";
import { catchInterruption } from "../src/cli/support/interruption.ts";
import { formatDuration, formatSize } from "../src/domain/units.ts";
import { absoluteReference } from "../src/images/reference.ts";
import type { UnpackedImage } from "../src/jobs/contract.ts";
import { isMountPoint } from "../src/system/mount/mountinfo.ts";
import { unmount } from "../src/system/mount/mounts.ts";
import { loopsBackedBelow, mountsBelow, processesOf } from "../test/support/residue.ts";
import { compareByTar } from "./demo-check.ts";
import { buildDemoImage, compareTree, type ExpectedTree } from "./demo-image.ts";
import { snapmill, startUp } from "./demo-program.ts";
import { heading, layerTable, nextCommands, outcomeLine } from "./demo-report.ts";

const root = join(import.meta.dir, "..");
process.chdir(root);
const usage = "use npm run demo, or npm run demo -- [--dir DIR] [REF]";
const { home, given } = readArguments();
const stateDir = join(home, "state");
const layout = join(home, "image");
const mountpoint = join(home, "mnt");
const here = ["--state-dir", stateDir];

/** `home` is where everything lies: relative to the checkout, so that what is printed can be typed there. */
function readArguments() {
  try {
    const options = { dir: { type: "string", default: ".demo" } } as const;
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    if (positionals.length > 1) throw new Error(usage);
    return { home: values.dir, given: positionals[0] };
  } catch (error) {
    say(sentenceOf(error) ?? usage);
    process.exit(2);
  }
}

/** Runs the whole demo; whether the image came out as it should, and nothing was left behind. */
async function demo(signal: AbortSignal): Promise<boolean> {
  await clearTheGround(signal);
  await using ending = new AsyncDisposableStack();
  const { reference, expected } = await subjectOf(signal);

  await heading("Start everything on this machine", ["up", "--size", "4GiB", ...here]);
  const startedMs = performance.now();
  const up = ending.use(await startUp(["--size", "4GiB", "--http-address", "127.0.0.1:0", ...here], signal));
  await printLines([`ready in ${formatDuration(performance.now() - startedMs)}`]);

  const image = await unpack(reference, signal);
  await mount(image, signal);
  ending.defer(async () => void (await snapmill(["umount", mountpoint, ...here], {})));
  const isSame = await compare(reference, expected, signal);

  await ending.disposeAsync();
  const left = whatIsLeft();
  await heading("Take everything down", ["umount", mountpoint, ...here]);
  await printLines(left.length === 0 ? ["no mount, loop device or process is left"] : ["left behind:", ...left]);
  if (left.length > 0) say(await up.words);
  await printLines(nextCommands({ reference, image, stateDir, mountpoint, home }));
  return isSame && left.length === 0;
}

/** Every demo starts from an empty directory. */
async function clearTheGround(signal: AbortSignal): Promise<void> {
  if (!existsSync(home)) return;
  const { running } = JSON.parse(await snapmill(["status", "--json", ...here], { signal })) as {
    running: { pid: number } | null;
  };
  if (running !== null) throw new Error(`a snapmill runs on ${stateDir} (process ${running.pid}): stop it first`);
  if (whatIsLeft().length > 0) {
    say("an earlier demo was killed: taking down what it left ...");
    if (existsSync(mountpoint) && (await isMountPoint(mountpoint))) await unmount(mountpoint, { signal });
    // A start repairs what was interrupted, a stop takes all of it down.
    await (await startUp(["--http-address", "127.0.0.1:0", ...here], signal))[Symbol.asyncDispose]();
  }
  await rm(home, { recursive: true });
}

/** The image of the demo: the caller's, or one that is built and whose content is known. */
async function subjectOf(signal: AbortSignal) {
  if (given !== undefined) return { reference: absoluteReference(given, root), expected: undefined };
  await heading("Build an image of this machine's own files");
  const startedMs = performance.now();
  const { expected, layers, tarBytes } = await buildDemoImage(layout, { signal });
  const took = formatDuration(performance.now() - startedMs);
  await printLines([
    `oci:${layout}:demo: ${layers} layers, ${expected.size} files, ${formatSize(tarBytes)}, in ${took}`,
  ]);
  return { reference: `oci:${layout}:demo`, expected };
}

async function unpack(reference: string, signal: AbortSignal): Promise<UnpackedImage> {
  await heading("Unpack it", ["unpack", reference, ...here]);
  const startedMs = performance.now();
  const answer = await snapmill(["unpack", "--json", reference, ...here], { signal, stderr: "show" });
  const image = JSON.parse(answer) as UnpackedImage;
  await printLines(layerTable(image, performance.now() - startedMs));
  return image;
}

async function mount({ snapshot }: UnpackedImage, signal: AbortSignal): Promise<void> {
  await heading("Mount the result, read-only", ["mount", snapshot, mountpoint, ...here]);
  await mkdir(mountpoint, { recursive: true });
  await snapmill(["mount", snapshot, mountpoint, ...here], { signal });
}

const maxShown = 20;

async function compare(reference: string, expected: ExpectedTree | undefined, signal: AbortSignal): Promise<boolean> {
  const startedMs = performance.now();
  const found =
    expected === undefined
      ? await compareByTar(reference, mountpoint, signal)
      : { compared: expected.size, differences: compareTree(mountpoint, expected) };
  const ms = performance.now() - startedMs;
  await heading(
    expected === undefined ? "Compare it, layer by layer, by GNU tar" : "Compare it with what the image should contain",
  );
  await printLines([outcomeLine(found, ms), ...found.differences.slice(0, maxShown)]);
  return found.differences.length === 0;
}

const whatIsLeft = (): string[] => {
  const absolute = resolve(home);
  return [...mountsBelow(absolute), ...loopsBackedBelow(absolute), ...processesOf(resolve(stateDir))];
};

tolerateClosedPipes();
using interruption = catchInterruption();
try {
  process.exitCode = (await demo(interruption.signal)) ? 0 : 1;
} catch (error) {
  const sentence = sentenceOf(error);
  if (sentence !== undefined) say(sentence);
  process.exitCode = exitStatusOf(error);
}
process.exit();
