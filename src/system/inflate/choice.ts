// Room: system. Owns which library inflates gzip: ISA-L where it is usable, or what the configuration says.
import { failedPrecondition } from "../../domain/errors.ts";
import { type Isal, type IsalInflater, loadIsal } from "./isal.ts";

/** `auto`: ISA-L if it is installed and passes its self-test, otherwise node:zlib. */
export type InflateChoice = "auto" | "isal" | "zlib";

export interface Inflate {
  readonly library: "ISA-L" | "node:zlib";
  /** "2.30"; undefined for node:zlib, which is part of the runtime. */
  readonly version: string | undefined;
  /** Why ISA-L is not used although it may be. */
  readonly reason: string | undefined;
  /** One for each stream at a time; undefined: node:zlib needs none. */
  readonly inflater: (() => IsalInflater) | undefined;
}

/** Throws failed_precondition if ISA-L is asked for and cannot be used. */
export function chooseInflate(choice: InflateChoice, load: () => Isal = loadIsal): Inflate {
  const zlib = { library: "node:zlib", version: undefined, reason: undefined, inflater: undefined } as const;
  if (choice === "zlib") return zlib;
  const isal = load();
  if (isal.kind === "usable") {
    return { library: "ISA-L", version: isal.version, reason: undefined, inflater: isal.inflater };
  }
  if (choice === "auto") return { ...zlib, reason: isal.reason };
  throw failedPrecondition(`SNAPMILL_INFLATE=isal: ${isal.reason}; install it, or choose auto`);
}
