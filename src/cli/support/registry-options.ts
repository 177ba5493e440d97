// Room: cli. Owns the options of commands that unpack images: platform, credentials, and how registries are used.
import type { Command } from "commander";
import type { RegistryOptions } from "../../domain/registry-options.ts";
import { parseSize } from "../../domain/units.ts";
import { formatPlatform, parsePlatform } from "../../images/platform.ts";
import { pathOn } from "./host-paths.ts";
import { accept } from "./options.ts";

export interface ImageOptions {
  readonly platform?: string;
  readonly authfile?: string;
  readonly plainHttp?: true;
  readonly bandwidth?: number;
  readonly minRate?: number;
}

const parseRate = accept(parseSize);

export const addImageOptions = (command: Command): Command =>
  command
    .option(
      "--platform <os/arch>",
      "which image of a multi-platform index (default: that of the pool's host)",
      accept((text: string) => formatPlatform(parsePlatform(text))),
    )
    .option("--authfile <file>", "registries' credentials, on the pool's host (default: those of docker and podman)")
    .option("--plain-http", "use HTTP for registries unless a hosts.toml says otherwise")
    .option(
      "--bandwidth <size>",
      "the most bytes per second from registries, such as 20MB (default: no limit)",
      parseRate,
    )
    .option(
      "--min-rate <size>",
      "restart a download that is slower than this per second (default: 1KiB, over a minute)",
      parseRate,
    );

/** `group`: identifies the images that share the bandwidth and may share blobs; undefined for a single image. */
export function registryOptions(
  command: Command,
  { authfile, plainHttp, bandwidth, minRate }: ImageOptions,
  group: string | undefined,
): RegistryOptions {
  return {
    ...(group !== undefined && { group }),
    ...(authfile !== undefined && { authFile: pathOn(command, authfile) }),
    ...(plainHttp === true && { plainHttp }),
    ...(minRate !== undefined && { minBytesPerSecond: minRate }),
    ...(bandwidth !== undefined && { maxBytesPerSecond: bandwidth }),
  };
}
