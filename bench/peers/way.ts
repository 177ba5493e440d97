// Room: bench. Owns what is compared: a way to unpack, and the tools that ways are made of.
import { runCommand } from "../../src/system/process/commands.ts";
import type { PeerImage } from "./images.ts";

/** The peers' programs, called as they are: a script around each would cost a process that theirs do not need. */
export interface Tools {
  /** What PATH and LD_LIBRARY_PATH are for them. */
  readonly environment: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

export interface Way {
  readonly name: string;
  /** Why it cannot unpack the image; undefined: it can. */
  readonly lacks?: (image: PeerImage) => string | undefined;
  /** Everything that is made before the clock starts, below `directory`, which is empty. */
  open(directory: string, image: PeerImage): Promise<OpenWay>;
}

/** Ready to unpack the image. Disposing of it takes down what it made; its directory is the caller's to remove. */
export interface OpenWay extends AsyncDisposable {
  /** Unpacks the image, all tags of it. */
  unpack(): Promise<void>;
  /** What must be flushed afterwards: a directory of each file system that was written to, the innermost first. */
  readonly written: readonly string[];
  /** What else is known of it, once it has unpacked. */
  readonly account?: () => Promise<Account>;
}

export interface Account {
  /** Milliseconds by stage, added up over layers. */
  readonly stages: ReadonlyMap<string, number>;
}

const timeoutMs = 600_000;

export function runTool({ environment, signal }: Tools, program: string, ...args: string[]) {
  const path = Bun.which(program, { PATH: environment["PATH"] ?? "" });
  if (path === null) throw new Error(`${program} is not among the peers' programs`);
  return runCommand(path, args, { timeoutMs, signal, environment });
}
