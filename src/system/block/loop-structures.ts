// Room: system. Owns the layout of the kernel's loop structures (include/uapi/linux/loop.h), little endian.

export const loopFlags = { readOnly: 1, autoClear: 4, directIo: 16 } as const;

/** struct loop_info64 */
export const loopInfoBytes = 232;
const flagsOffset = 52;

/** struct loop_config: u32 fd, u32 block_size, struct loop_info64, u64 reserved[8] */
const configBytes = 8 + loopInfoBytes + 64;

export interface LoopConfig {
  readonly readOnly?: boolean;
  readonly directIo?: boolean;
  readonly autoClear?: boolean;
  readonly blockSizeBytes?: number;
}

export function encodeLoopConfig(backingFd: number, config: LoopConfig): Buffer {
  const flags =
    (config.readOnly === true ? loopFlags.readOnly : 0) |
    (config.autoClear === true ? loopFlags.autoClear : 0) |
    (config.directIo === true ? loopFlags.directIo : 0);
  const encoded = Buffer.alloc(configBytes);
  encoded.writeUInt32LE(backingFd, 0);
  encoded.writeUInt32LE(config.blockSizeBytes ?? 0, 4);
  encoded.writeUInt32LE(flags, 8 + flagsOffset);
  return encoded;
}

export const readLoopFlags = (info: Buffer): number => info.readUInt32LE(flagsOffset);

export function withLoopFlags(info: Buffer, flags: number): Buffer {
  const changed = Buffer.from(info);
  changed.writeUInt32LE(flags, flagsOffset);
  return changed;
}
