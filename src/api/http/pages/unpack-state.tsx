// Room: api. Owns how unpacks and their layers stand on pages: states as signs with words, progress, times, commands.
/** @jsxImportSource hono/jsx */
import type { RegistryOptions } from "../../../domain/registry-options.ts";
import { formatDuration, formatSize } from "../../../domain/units.ts";
import { layersDone, readBytes, wantedBytes } from "../../../domain/unpack-progress.ts";
import type { Output } from "../../../service/api.ts";
import { shellWord } from "./names.tsx";
import { Sign, type SignKind } from "./sign.tsx";

export type Unpack = Output<"getUnpack">;
export type UnpackLayer = Unpack["layers"][number];

const unpackSigns: Readonly<Record<Unpack["state"], SignKind>> = {
  queued: "none",
  running: "busy",
  unpacked: "good",
  failed: "bad",
  cancelled: "none",
};
export const unpackStates = Object.keys(unpackSigns) as readonly Unpack["state"][];

const layerSigns: Readonly<Record<UnpackLayer["state"], SignKind>> = {
  waiting: "none",
  unpacking: "busy",
  unpacked: "good",
  cached: "good",
};

export const UnpackSign = ({ state }: Pick<Unpack, "state">) => <Sign of={unpackSigns[state]}>{state}</Sign>;
export const LayerSign = ({ state }: Pick<UnpackLayer, "state">) => <Sign of={layerSigns[state]}>{state}</Sign>;

export const isOver = ({ state }: Pick<Unpack, "state">): boolean => state !== "queued" && state !== "running";

/** "3 of 5". */
export const layersText = ({ layers, state }: Pick<Unpack, "layers" | "state">): string => {
  if (layers.length > 0) return `${layersDone(layers)} of ${layers.length}`;
  return isOver({ state }) ? "its image was not found" : "its image is being looked for";
};

/** "12.0 MiB of 40.0 MiB": compressed, of layers that the pool did not have. */
export const bytesText = ({ layers }: Pick<Unpack, "layers">): string =>
  layers.length === 0 ? "–" : `${formatSize(readBytes(layers))} of ${formatSize(wantedBytes(layers))}`;

/** From its start, or its last attempt's, to its end or to now. */
export const timeText = ({ startedAtMs, endedAtMs }: Unpack, nowMs: number): string =>
  startedAtMs === null ? "–" : formatDuration(Math.max(0, (endedAtMs ?? nowMs) - startedAtMs));

/** The same unpack at a terminal. */
export function unpackWords({ image, platform, registry }: Pick<Unpack, "image" | "platform" | "registry">): string {
  const { plainHttp, authFile, maxBytesPerSecond, minBytesPerSecond }: RegistryOptions = registry ?? {};
  const options = [
    ...(platform === null ? [] : ["--platform", platform]),
    ...(plainHttp === true ? ["--plain-http"] : []),
    ...(authFile === undefined ? [] : ["--authfile", authFile]),
    ...(maxBytesPerSecond === undefined ? [] : ["--bandwidth", String(maxBytesPerSecond)]),
    ...(minBytesPerSecond === undefined ? [] : ["--min-rate", String(minBytesPerSecond)]),
  ];
  return ["unpack", ...options, image].map(shellWord).join(" ");
}
