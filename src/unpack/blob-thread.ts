// Room: unpack. Owns the blob thread, which prepares the next bytes while the main thread writes.
import { Worker } from "node:worker_threads";
import { encodeFailure, internal } from "../domain/errors.ts";
import { startTimer, type Timer } from "../domain/timers.ts";
import {
  type BlobSource,
  type FromBlobThread,
  slotBytes,
  slotCount,
  slotsPerMessage,
  type ToBlobThread,
} from "./blob-messages.ts";
import { BlobStream } from "./blob-stream.ts";

const program = new URL("../../workers/blob-thread.ts", import.meta.url);
/** After this time, the memory and the file of a blob that was announced but not opened are released. */
const announcedForMs = 30_000;

interface Running {
  readonly worker: Worker;
  readonly memory: SharedArrayBuffer;
  readonly send: (message: ToBlobThread) => void;
  readonly free: (slot: number) => void;
}

/**
 * A thread that starts with the first blob and lives as long as the process, but does not keep it alive while nothing is
 * read. After its death, the next blob starts another one. One stream is read at a time.
 */
export class BlobThread implements Disposable {
  readonly #program: URL;
  readonly #streams = new Map<number, BlobStream>();
  #running: Running | undefined;
  #opened = 0;
  #announced: BlobStream | undefined;
  #announcedUntil: Timer | undefined;

  constructor(options: { readonly program?: URL } = {}) {
    this.#program = options.program ?? program;
  }

  /**
   * Opens `source`. When all of it is decompressed, the thread starts on `next`, so that part of it is ready when it is
   * opened. It is dropped when something else is opened instead, or when `source` is not read to its end.
   */
  open(source: BlobSource, next?: BlobSource): BlobStream {
    const stream = this.#takeAnnounced(source) ?? this.#begin(source);
    if (next !== undefined) this.#announced = this.#begin(next);
    this.#running?.worker.ref();
    return stream;
  }

  /** Ends the thread; a stream that is still being read fails. */
  [Symbol.dispose](): void {
    const { worker } = this.#running ?? {};
    this.#ended("it was told to");
    void worker?.terminate();
  }

  #takeAnnounced(source: BlobSource): BlobStream | undefined {
    this.#announcedUntil?.[Symbol.dispose]();
    const announced = this.#announced;
    this.#announced = undefined;
    if (announced === undefined || isSame(announced.source, source)) return announced;
    announced[Symbol.dispose]();
    return undefined;
  }

  #begin({ blob, compression }: BlobSource): BlobStream {
    const source = { blob, compression };
    this.#running ??= this.#start();
    const { memory, send, free } = this.#running;
    const number = ++this.#opened;
    const stream = new BlobStream(source, memory, {
      free,
      closed: (isWhole) => {
        if (!isWhole) send({ type: "drop", stream: number });
        this.#closed(number, isWhole);
      },
    });
    this.#streams.set(number, stream);
    send({ type: "open", stream: number, source });
    return stream;
  }

  #closed(number: number, isWhole: boolean): void {
    this.#streams.delete(number);
    this.#running?.worker.unref();
    const drop = () => {
      const announced = this.#announced;
      this.#announced = undefined;
      announced?.[Symbol.dispose]();
    };
    this.#announcedUntil?.[Symbol.dispose]();
    if (!isWhole) drop();
    else if (this.#announced !== undefined) this.#announcedUntil = startTimer(announcedForMs, drop).unref();
  }

  #start(): Running {
    const worker = new Worker(this.#program);
    const memory = new SharedArrayBuffer(slotCount * slotBytes);
    const send = (message: ToBlobThread) => worker.postMessage(message);
    const freed: number[] = [];
    const free = (slot: number) => {
      freed.push(slot);
      if (freed.length >= slotsPerMessage) send({ type: "free", slots: freed.splice(0) });
    };
    const running = { worker, memory, send, free };
    const died = (reason: string) => {
      if (this.#running === running) this.#ended(reason);
    };
    worker.on("message", (message: FromBlobThread) => {
      const stream = this.#streams.get(message.stream);
      if (stream !== undefined) stream.receive(message);
      else if (message.type === "chunk") free(message.slot);
    });
    worker.on("error", (error: unknown) => died(error instanceof Error ? error.message : String(error)));
    worker.on("exit", (code: number) => died(`exit code ${code}`));
    send({ type: "memory", memory });
    worker.unref();
    return running;
  }

  #ended(reason: string): void {
    this.#running = undefined;
    this.#announced = undefined;
    const failure = encodeFailure(internal(`the thread that reads and decompresses blobs ended: ${reason}`));
    for (const [number, stream] of this.#streams) stream.receive({ type: "failed", stream: number, failure });
    this.#streams.clear();
  }
}

const isSame = (one: BlobSource, other: BlobSource): boolean =>
  // A pipe can be read only once.
  !("pipe" in one.blob || "pipe" in other.blob) &&
  one.compression === other.compression &&
  one.blob.path === other.blob.path &&
  one.blob.within === other.blob.within &&
  one.blob.offsetBytes === other.blob.offsetBytes &&
  one.blob.lengthBytes === other.blob.lengthBytes;
