// Room: system. Owns the CRC-32C (Castagnoli) of a buffer, the kernel's checksum in on-disk formats.

const polynomial = 0x82f63b78;
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ polynomial : rest >>> 1;
  return rest;
});

/** As the kernel's crc32c(): begins with `seed`, and the result is not inverted. */
export function crc32c(seed: number, bytes: Uint8Array): number {
  let rest = seed >>> 0;
  for (const byte of bytes) rest = (table[(rest ^ byte) & 0xff] ?? 0) ^ (rest >>> 8);
  return rest >>> 0;
}
