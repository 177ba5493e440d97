// Room: domain. Owns sizes and durations as users write and read them.
import { invalidArgument } from "./errors.ts";
import { quoted } from "./quoted.ts";

const unitNames = ["", "K", "M", "G", "T", "P"] as const;
const sizePattern = /^\s*(\d+(?:\.\d+)?)\s*(?:([kmgtp])i?b?|b)?\s*$/i;

/**
 * Bytes in `text`: "20GiB", "10GB", "512 MiB", "1.5g", "4096". Units are powers of 1,024 with and without the "i",
 * as containerd's devmapper configuration has them. Throws invalid_argument for anything else, zero included.
 */
export function parseSize(text: string): number {
  const match = sizePattern.exec(text);
  const power = unitNames.findIndex((unit) => unit === (match?.[2] ?? "").toUpperCase());
  const bytes = Math.round(Number(match?.[1]) * 1024 ** power);
  if (match === null || !Number.isSafeInteger(bytes) || bytes <= 0) {
    throw invalidArgument(`size ${quoted(text)} is not valid: write it like 20GiB, 512MiB or 1073741824`);
  }
  return bytes;
}

/** `bytes` for users: three digits at most, "1.5 GiB". */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = "B";
  for (const name of unitNames.slice(1)) {
    if (Math.abs(value) < 1024) break;
    value /= 1024;
    unit = `${name}iB`;
  }
  const digits = unit === "B" || Math.abs(value) >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${unit}`;
}

/** `ms` for users: "340 ms", "2.1 s", "3 min 20 s". */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

const durationUnitsMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/** Milliseconds in `text`: "30d", "12h", "2w", "90m", "45s", "200ms". Throws invalid_argument for anything else. */
export function parseDuration(text: string): number {
  const match = /^(\d{1,6})(ms|[smhdw])$/.exec(text);
  const unit = match?.[2] as keyof typeof durationUnitsMs | undefined;
  if (unit === undefined) {
    throw invalidArgument(`duration ${quoted(text)} is not valid: write it like 30d, 12h or 90s (also w and m)`);
  }
  return Number(match?.[1]) * durationUnitsMs[unit];
}

/** The share of a whole in `text`, from 0 to 1: "20%", "7.5%". Throws invalid_argument outside of 1% to 99%. */
export function parsePercentage(text: string): number {
  const match = /^(\d{1,2}(?:\.\d+)?)%$/.exec(text);
  const percent = Number(match?.[1]);
  if (match === null || percent < 1) {
    throw invalidArgument(`share ${quoted(text)} is not valid: write it like 20%, from 1% to 99%`);
  }
  return percent / 100;
}
