// Room: test. Owns requests as bytes: what no HTTP client would send.
import { connect } from "node:net";

export interface RawAnswer {
  /** 0: closed without an answer. */
  readonly status: number;
  /** All that came, headers included. */
  readonly text: string;
}

const quietMs = 20_000;

/** Whether headers are there, and as much of a body as they announce. */
function isWhole(text: string): boolean {
  const [head = "", ...rest] = text.split("\r\n\r\n");
  const announced = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
  return text.includes("\r\n\r\n") && rest.join("\r\n\r\n").length >= announced;
}

/** Sends `bytes` and waits for the first answer, or the end of the connection; `all`: until it is closed. */
export function sendRaw(port: number, bytes: string | Uint8Array, all = false): Promise<RawAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>();
  let text = "";
  const end = () => resolve({ status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0), text });
  const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
    if (!all && isWhole(text)) end();
  });
  // A reset is an answer to what nobody should send.
  socket.on("error", end);
  socket.on("close", end);
  const timer = setTimeout(() => reject(new Error(`no answer within 20 s, only ${JSON.stringify(text)}`)), quietMs);
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}
