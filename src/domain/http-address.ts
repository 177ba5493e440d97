// Room: domain. Owns the address at which HTTP is served: the parsing of HOST:PORT.
import { invalidArgument } from "./errors.ts";

export interface Address {
  /** Without brackets. */
  readonly hostname: string;
  /** 0: any free port. */
  readonly port: number;
}

const maxPort = 65_535;

/** Parses `127.0.0.1:7070`, `localhost:7070` or `[::1]:7070`; throws invalid_argument for anything else. */
export function parseAddress(text: string): Address {
  const [, bracketed, plain, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text) ?? [];
  const hostname = bracketed ?? plain;
  const port = Number(digits);
  if (hostname === undefined || port > maxPort) {
    throw invalidArgument(`HTTP address ${JSON.stringify(text)} is not valid: use HOST:PORT, such as 127.0.0.1:7070`);
  }
  return { hostname, port };
}

/** Whether only this machine can reach the address. */
export const isLoopback = ({ hostname }: Pick<Address, "hostname">): boolean =>
  hostname === "localhost" || hostname === "::1" || /^127\.\d+\.\d+\.\d+$/.test(hostname);

/** `http://[::1]:7070` */
export const urlOf = ({ hostname, port }: Address, scheme: "http" | "https" = "http"): string =>
  `${scheme}://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
