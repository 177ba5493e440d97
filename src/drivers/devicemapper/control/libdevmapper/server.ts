// Room: drivers. Owns the work of the device-mapper thread: one call after the other, each answered.
import { encodeFailure } from "../../../../domain/errors.ts";
import { Libdevmapper, LibdevmapperError } from "./calls.ts";
import type { DmCall, DmReply, ToDmThread } from "./messages.ts";

type Send = (message: DmReply) => void;

/** Answers the messages given to `receive`. */
export class LibdevmapperServer {
  readonly #send: Send;
  #library: Libdevmapper | undefined;

  constructor(send: Send) {
    this.#send = send;
  }

  receive(message: ToDmThread): void {
    if (message === "open") this.#send(this.#open());
    else if (message === "close") this.#send(this.#close());
    else this.#send(this.#answer(message));
  }

  #open(): DmReply {
    try {
      this.#library = new Libdevmapper();
      return { kind: "ready" };
    } catch (error) {
      return { kind: "unusable", failure: encodeFailure(error) };
    }
  }

  #close(): DmReply {
    this.#library?.[Symbol.dispose]();
    this.#library = undefined;
    return { kind: "closed" };
  }

  #answer({ verb, args }: DmCall): DmReply {
    try {
      this.#library ??= new Libdevmapper();
      const method = this.#library[verb] as (...args: readonly unknown[]) => unknown;
      return { kind: "answered", answer: method.apply(this.#library, [...args]) };
    } catch (error) {
      if (!(error instanceof LibdevmapperError)) return { kind: "failed", failure: encodeFailure(error) };
      // The library asks once whether the kernel has device-mapper, and after a "no" refuses all further calls in
      // silence. A fresh copy asks again.
      if (error.errno === undefined) this.#close();
      return { kind: "refused", errno: error.errno, said: error.said };
    }
  }
}
