// Room: workers. Owns the process that writes layers: a request a line on stdin, messages on stdout, until stdin ends.
import { readConfig } from "../src/config.ts";
import { asSnapmillError } from "../src/domain/errors.ts";
import { armFault } from "../src/system/faults.ts";
import { linesOf } from "../src/system/process/lines.ts";
import { applyLayer, type OnProgress, releaseDevice } from "../src/unpack/layer.ts";
import { encodeMessage, parseWriterRequest } from "../src/unpack/messages.ts";
import type { WriterMessage } from "../src/unpack/protocol.ts";

const progressIntervalMs = 100;

armFault(readConfig().fault);

const output = Bun.stdout.writer();
async function say(message: WriterMessage): Promise<void> {
  await output.write(encodeMessage(message));
  await output.flush();
}

/** The flush of a smaller layer is over before anybody could see it. */
const noticedBytes = 2 ** 20;

/**
 * Progress at most ten times a second, and when a large layer is flushed; a message that could not be sent is followed by a
 * newer one.
 */
function progressReporter(layerBytes: number): OnProgress {
  let lastMs = performance.now();
  return (readBytes, { spentMs, periods }, isFlushing) => {
    const nowMs = performance.now();
    if (nowMs - lastMs < progressIntervalMs && !(isFlushing && layerBytes >= noticedBytes)) return;
    lastMs = nowMs;
    void say({ type: "progress", readBytes, isFlushing, spentMs, periods });
  };
}

async function serve(line: string): Promise<void> {
  try {
    const request = parseWriterRequest(line);
    if ("type" in request) {
      releaseDevice();
      await say({ type: "released" });
      return;
    }
    const applied = await applyLayer(request, progressReporter(request.blob.lengthBytes));
    await say({ type: "applied", ...applied });
  } catch (error) {
    const { code, message } = asSnapmillError(error);
    await say({ type: "failed", code, message });
  }
}

await say({ type: "ready" });
for await (const line of linesOf(Bun.stdin.stream())) await serve(line);
