// Room: test. Owns a service manager's end of NOTIFY_SOCKET: a datagram socket in Python, since Bun has none for UNIX.
import { linesOf } from "../../src/system/process/lines.ts";

const program = `
import json, os, socket, struct, sys
name = sys.argv[1]
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
server.bind("\\0" + name[1:] if name.startswith("@") else name)
print(json.dumps("listening"), flush=True)
while True:
    data, ancillary, _, _ = server.recvmsg(65536, socket.CMSG_SPACE(12))
    pid = struct.unpack("iII", ancillary[0][2])[0]
    print(json.dumps({"pid": pid, "lines": data.decode().split("\\n")}), flush=True)
`;

export interface Message {
  /** Of the process that sent it, as the kernel says. */
  readonly pid: number;
  readonly lines: readonly string[];
}

export class NotifyListener implements AsyncDisposable {
  readonly name: string;
  readonly heard: Message[] = [];
  readonly #child: Bun.Subprocess<"ignore", "pipe", "inherit">;

  private constructor(name: string, child: Bun.Subprocess<"ignore", "pipe", "inherit">) {
    this.name = name;
    this.#child = child;
  }

  /** `name`: a path, or `@NAME` in the abstract namespace. Returns once it listens. */
  static async open(name: string): Promise<NotifyListener> {
    const child = Bun.spawn(["python3", "-c", program, name], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
    const listener = new NotifyListener(name, child);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    void listener.#listen(resolve).then(() => reject(new Error(`nobody listens at ${name}`)));
    await promise;
    return listener;
  }

  pause(): void {
    this.#child.kill("SIGSTOP");
  }

  resume(): void {
    this.#child.kill("SIGCONT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  async #listen(onListening: () => void): Promise<void> {
    for await (const line of linesOf(this.#child.stdout)) {
      const said: unknown = JSON.parse(line);
      if (said === "listening") onListening();
      else this.heard.push(said as Message);
    }
  }
}
