// Room: workers. Owns the entry of the thread that reads and decompresses blobs beside the one that writes a layer.
import { parentPort } from "node:worker_threads";
import { readConfig } from "../src/config.ts";
import { chooseInflate } from "../src/system/inflate/choice.ts";
import type { ToBlobThread } from "../src/unpack/blob-messages.ts";
import { BlobServer } from "../src/unpack/blob-server.ts";

const { inflater } = chooseInflate(readConfig().inflate);
const server = new BlobServer((message) => parentPort?.postMessage(message), inflater?.());
parentPort?.on("message", (message: ToBlobThread) => server.receive(message));
