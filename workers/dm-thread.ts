// Room: workers. Owns the entry of the thread that calls libdevmapper: the kernel may hold it in a call for long.
import { parentPort } from "node:worker_threads";
import type { ToDmThread } from "../src/drivers/devicemapper/control/libdevmapper/messages.ts";
import { LibdevmapperServer } from "../src/drivers/devicemapper/control/libdevmapper/server.ts";

const server = new LibdevmapperServer((message) => parentPort?.postMessage(message));
parentPort?.on("message", (message: ToDmThread) => server.receive(message));
