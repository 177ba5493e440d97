// Room: tar. Owns the blocks that a tar archive is made of, and what may follow its last one.

export const blockBytes = 512;

/**
 * How many bytes may follow the end marker. Tape programs fill up a record, of 10 KiB by default and 1 MiB at most in
 * practice. More is refused: a few MB of zstd can hold zeroes that take hours to read.
 */
export const maxPaddingBytes = 16 << 20;

/** How many bytes follow `sizeBytes` of content to fill its last block. */
export const paddingOf = (sizeBytes: number): number => (blockBytes - (sizeBytes % blockBytes)) % blockBytes;

/** An archive ends with two blocks of zeroes. */
export function isZeroBlock(block: Uint8Array): boolean {
  for (let at = 0; at < blockBytes; at++) if (block[at] !== 0) return false;
  return true;
}
