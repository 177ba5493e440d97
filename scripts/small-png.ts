// Room: scripts. Owns making a screenshot small: the same picture with a palette of at most 256 colours.
import { crc32, deflateSync, inflateSync } from "node:zlib";

interface Pixels {
  readonly width: number;
  readonly height: number;
  /** 3 (red, green, blue) or 4, with an opacity that is not looked at. */
  readonly channels: number;
  readonly bytes: Buffer;
}

/** `png`: of eight bits for each of three or four channels, not interlaced, as a browser takes it. */
export function withPalette(png: Buffer): Buffer {
  const pixels = decode(png);
  // Colours that differ less than the eye sees become one, until there are few enough.
  for (let shift = 0; ; shift += 1) {
    const indexed = indexedBy(pixels, shift);
    if (indexed !== undefined) return encode(pixels, indexed);
  }
}

function decode(png: Buffer): Pixels {
  const header = chunksOf(png).find(({ type }) => type === "IHDR")?.data ?? Buffer.alloc(13);
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const channels = { 2: 3, 6: 4 }[header[9] ?? 0];
  if (header[8] !== 8 || channels === undefined || header[12] !== 0) throw new Error("this kind of PNG is not read");
  const parts = chunksOf(png).filter(({ type }) => type === "IDAT");
  const filtered = inflateSync(Buffer.concat(parts.map(({ data }) => data)));
  return { width, height, channels, bytes: unfiltered(filtered, { channels, lineBytes: width * channels, height }) };
}

interface Layout {
  readonly channels: number;
  readonly lineBytes: number;
  readonly height: number;
}

/** Each line is stored after the number of its filter, as what it differs by from a guess. */
function unfiltered(filtered: Buffer, { channels, lineBytes, height }: Layout): Buffer {
  // With an empty line above, and an empty pixel before each line.
  const stride = lineBytes + channels;
  const known = Buffer.alloc(stride * (height + 1));
  for (let y = 0; y < height; y += 1) {
    const filter = filtered.readUInt8(y * (lineBytes + 1));
    for (let x = 0; x < lineBytes; x += 1) {
      const at = (y + 1) * stride + channels + x;
      const [left, up, corner] = [at - channels, at - stride, at - stride - channels].map((place) =>
        known.readUInt8(place),
      ) as [number, number, number];
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter] ?? 0;
      known[at] = filtered.readUInt8(y * (lineBytes + 1) + 1 + x) + guess;
    }
  }
  const lines = Array.from({ length: height }, (_, y) => known.subarray((y + 1) * stride + channels, (y + 2) * stride));
  return Buffer.concat(lines);
}

/** PNG (Third Edition), 9.4. */
function paeth(left: number, up: number, corner: number): number {
  const [toLeft, toUp, toCorner] = [left, up, corner].map((value) => Math.abs(left + up - corner - value)) as [
    number,
    number,
    number,
  ];
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}

interface Indexed {
  readonly palette: readonly number[];
  readonly indices: Buffer;
}

/** Undefined: there are more than 256 colours, though those are one that differ in the last `shift` bits only. */
function indexedBy({ width, height, channels, bytes }: Pixels, shift: number): Indexed | undefined {
  const found = new Map<number, number>();
  const palette: number[] = [];
  const indices = Buffer.alloc(width * height);
  for (let pixel = 0; pixel < indices.length; pixel += 1) {
    const [red = 0, green = 0, blue = 0] = bytes.subarray(pixel * channels, pixel * channels + 3);
    const key = ((red >> shift) << 16) | ((green >> shift) << 8) | (blue >> shift);
    let index = found.get(key);
    if (index === undefined) {
      index = found.size;
      if (index === 256) return undefined;
      found.set(key, index);
      // The first of its kind stands for all: plain areas come before the edges of letters.
      palette.push(red, green, blue);
    }
    indices[pixel] = index;
  }
  return { palette, indices };
}

function encode({ width, height }: Pixels, { palette, indices }: Indexed): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3, 0, 0, 0], 8);
  const lines = Array.from({ length: height }, (_, y) => [
    Buffer.from([0]),
    indices.subarray(y * width, (y + 1) * width),
  ]);
  const data = deflateSync(Buffer.concat(lines.flat()), { level: 9 });
  return Buffer.concat([
    signature,
    chunk("IHDR", header),
    chunk("PLTE", Buffer.from(palette)),
    chunk("IDAT", data),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

const signature = Buffer.from("89504e470d0a1a0a", "hex");

function chunk(type: string, data: Buffer): Buffer {
  const typed = Buffer.concat([Buffer.from(type), data]);
  const around = Buffer.alloc(8);
  around.writeUInt32BE(data.length, 0);
  around.writeUInt32BE(crc32(typed), 4);
  return Buffer.concat([around.subarray(0, 4), typed, around.subarray(4)]);
}

function chunksOf(png: Buffer): { readonly type: string; readonly data: Buffer }[] {
  const chunks: { type: string; data: Buffer }[] = [];
  for (let at = signature.length; at < png.length; ) {
    const length = png.readUInt32BE(at);
    chunks.push({ type: png.toString("latin1", at + 4, at + 8), data: png.subarray(at + 8, at + 8 + length) });
    at += length + 12;
  }
  return chunks;
}
