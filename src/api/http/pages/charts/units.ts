// Room: api. Owns the units that charts have on their axes.
import { formatSize } from "../../../../domain/units.ts";
import type { Unit } from "./scale.ts";

export const percentInUse = {
  name: "% in use",
  text: (value) => `${Math.round(value)} %`,
  base: 1000,
  isWhole: true,
  top: 100,
} as const satisfies Unit;

export const bytesPerSecond: Unit = {
  name: "bytes a second",
  text: (value) => `${formatSize(value)}/s`,
  base: 1024,
  isWhole: true,
};

export const counted = (name: string): Unit => ({
  name,
  text: (value) => new Intl.NumberFormat("en", { maximumFractionDigits: 1 }).format(value),
  base: 1000,
  isWhole: true,
});
