// Room: images. Owns platforms: how they are written, which is this machine's, and which image of an index fits best.
import { endianness } from "node:os";
import { invalidArgument } from "../domain/errors.ts";

/** Normalised as containerd does it, except that `variant` is always set where the architecture has a default one. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  /** For amd64, arm64 and arm always set; undefined for architectures without variants. */
  readonly variant: string | undefined;
}

/** Other names of architectures, with the variant that each implies. */
const aliases: ReadonlyMap<string, readonly [architecture: string, variant?: string]> = new Map([
  ["i386", ["386"]],
  ["x86_64", ["amd64"]],
  ["x86-64", ["amd64"]],
  ["aarch64", ["arm64"]],
  ["armhf", ["arm", "v7"]],
  ["armel", ["arm", "v6"]],
]);

const defaultVariants: ReadonlyMap<string, string> = new Map([
  ["amd64", "v1"],
  ["arm64", "v8"],
  ["arm", "v7"],
]);

export function normalizePlatform(os: string, architecture: string, variant?: string): Platform {
  const lower = architecture.toLowerCase();
  const [name, implied] = aliases.get(lower) ?? [lower];
  const given = variant?.toLowerCase() || implied || defaultVariants.get(name);
  return { os: os.toLowerCase(), architecture: name, variant: given && /^\d/.test(given) ? `v${given}` : given };
}

/** `os/architecture[/variant]`, "linux/arm64/v8" say. Throws invalid_argument. */
export function parsePlatform(text: string): Platform {
  const [os, architecture, variant] = text.split("/");
  if (!/^[A-Za-z0-9_]+(\/[A-Za-z0-9_.-]+){1,2}$/.test(text) || os === undefined || architecture === undefined) {
    throw invalidArgument(
      `platform ${JSON.stringify(text)} is not valid: use os/architecture[/variant], for example linux/amd64 or linux/arm/v7`,
    );
  }
  return normalizePlatform(os, architecture, variant);
}

/** As users write it: amd64's first variant is left out. */
export function formatPlatform({ os, architecture, variant }: Platform): string {
  const isPlain = variant === undefined || (architecture === "amd64" && variant === "v1");
  return isPlain ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;
}

function hostArchitecture(): string {
  switch (process.arch) {
    case "x64":
      return "amd64";
    case "ia32":
      return "386";
    case "ppc64":
      return endianness() === "LE" ? "ppc64le" : "ppc64";
    default:
      return process.arch;
  }
}

/** This machine's platform; for amd64 the first variant, which all of them run. */
export const hostPlatform = (): Platform => normalizePlatform("linux", hostArchitecture());

/** What an image is unpacked for where its caller does not say: decided on the pool's host, since callers may be others. */
export const orHostPlatform = (wanted: string | undefined): string => wanted ?? formatPlatform(hostPlatform());

/** "v8.1" as [8, 1]; undefined for what is not numbered. */
function variantNumber(variant: string): readonly [number, number] | undefined {
  const match = /^v(\d{1,3})(?:\.(\d{1,3}))?$/.exec(variant);
  return match === null ? undefined : [Number(match[1]), Number(match[2] ?? 0)];
}

/**
 * How far `offered` is below `wanted`: 0 is the same platform, undefined does not run. A machine runs its own variant and
 * all lower ones (arm v7 → v6 → v5). Another architecture never matches, not even 386 on amd64: it must be asked for.
 */
export function platformDistance(wanted: Platform, offered: Platform): number | undefined {
  if (wanted.os !== offered.os || wanted.architecture !== offered.architecture) return undefined;
  if (wanted.variant === offered.variant) return 0;
  const want = variantNumber(wanted.variant ?? "");
  const have = variantNumber(offered.variant ?? "");
  if (want === undefined || have === undefined) return undefined;
  const distance = (want[0] - have[0]) * 1000 + want[1] - have[1];
  return distance >= 0 ? distance : undefined;
}
