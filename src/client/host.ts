// Room: client. Owns how a snapmill is named: https://HOST[:PORT], http:// on this machine, or unix:///PATH.
import { quoted } from "../domain/quoted.ts";
import { invalid } from "./failures.ts";

export interface HostAddress {
  /** As errors name it. */
  readonly text: string;
  /** Without a slash at its end. */
  readonly origin: string;
  /** The path of a UNIX socket. */
  readonly unix?: string;
  /** Whether it is on this machine, and sees the same files. */
  readonly isHere: boolean;
}

const forms = "write https://HOST[:PORT], http://127.0.0.1:PORT or unix:///PATH/TO/SOCKET";

const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** Throws invalid_argument. A password in the text is not repeated in the error. */
export function parseHost(text: string): HostAddress {
  if (text.startsWith("unix:")) return socketAt(text);
  const url = URL.parse(text);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw invalid(`the host of a snapmill is not valid: ${forms}`);
  }
  if (url.username !== "" || url.password !== "") {
    throw invalid("the host of a snapmill holds no user or password: give the token in SNAPMILL_TOKEN");
  }
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    throw invalid(`host ${quoted(text)} is not valid: leave out what follows the port`);
  }
  return { text: url.origin, origin: url.origin, isHere: false };
}

function socketAt(text: string): HostAddress {
  const path = text.replace(/^unix:(?:\/\/)?/, "");
  if (!path.startsWith("/") || path.includes("\0")) {
    throw invalid(`host ${quoted(text)} is not valid: a socket's path begins at the root, unix:///PATH`);
  }
  return { text: `unix://${path}`, origin: "http://localhost", unix: path, isHere: true };
}

/** Throws invalid_argument if a token would go over the network in the clear. */
export function requireSafe({ origin, unix }: HostAddress, hasToken: boolean): void {
  const { protocol, hostname } = new URL(origin);
  if (!hasToken || unix !== undefined || protocol === "https:" || loopback.test(hostname)) return;
  throw invalid(
    `a token is not sent to ${origin}, which is not encrypted: use https://, or a tunnel to a port of this machine`,
  );
}
