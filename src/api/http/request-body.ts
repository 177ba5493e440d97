// Room: api. Owns the bodies of requests: each is read within its limit, and the connection of an endless one ends.

export const maxBodyBytes = 2 ** 20;

/** Out of reach, since Bun's own answer is no problem document. A body that nobody reads fills a few MiB, and then waits. */
export const maxRequestBodySize = 2 ** 50;

/**
 * So much that is still to come Bun reads and throws away after the answer, which a client that sends may lose if its
 * connection is closed.
 */
const maxDiscardedBytes = 4 * maxBodyBytes;

/** Those whose bodies were read to their end. */
const wholly = new WeakSet<Request>();

const announcedBytes = ({ headers }: Request): number => Number(headers.get("content-length") ?? 0);

/** The body; undefined, as soon as that is known, if it has more than `maxBodyBytes`. */
export async function readBody(request: Request): Promise<Uint8Array | undefined> {
  if (announcedBytes(request) > maxBodyBytes) return undefined;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > maxBodyBytes) return undefined;
    chunks.push(chunk);
  }
  wholly.add(request);
  return Buffer.concat(chunks);
}

/** The answer. If more of the request may come than is worth to be thrown away, the connection ends with it. */
export function endingUnread(request: Request, answer: Response): Response {
  const isLong = request.headers.has("transfer-encoding") || announcedBytes(request) > maxDiscardedBytes;
  if (isLong && !wholly.has(request)) answer.headers.set("connection", "close");
  return answer;
}
