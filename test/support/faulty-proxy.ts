// Room: test. Owns a proxy in front of a registry that breaks answers on command, byte by byte.
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";

export interface ProxiedRequest {
  readonly method: string;
  /** Includes the query. */
  readonly path: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface ProxiedAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** Writes to the client instead of `answer`. The connection is closed when it returns. */
export type Fault = (socket: Socket, answer: ProxiedAnswer, request: ProxiedRequest) => void | Promise<void>;

export const writeHead = (socket: Socket, status: number, headers: Readonly<Record<string, string | number>>): void => {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`HTTP/1.1 ${status} Status\r\n${lines.join("")}connection: close\r\n\r\n`);
};

/** Answers as a well-behaved proxy does; `changed` overrides parts of the answer. */
export const answerWith =
  (changed: Partial<ProxiedAnswer>): Fault =>
  (socket, answer) => {
    const { status, headers, body } = { ...answer, ...changed };
    writeHead(socket, status, { ...answer.headers, "content-length": body.length, ...headers });
    socket.write(body);
  };

/** The first `bytes` of the body, then, after `pause`, the end of the connection: what has not been read by then is lost. */
export const cutAt =
  (bytes: number, pause: () => unknown = () => undefined): Fault =>
  async (socket, { status, headers, body }) => {
    writeHead(socket, status, { ...headers, "content-length": body.length });
    socket.write(body.subarray(0, bytes));
    await pause();
  };

interface Planned {
  readonly path: RegExp;
  readonly fault: Fault;
  leftTimes: number;
}

const kept = ["content-type", "content-range", "docker-content-digest", "www-authenticate", "location"];

export class FaultyProxy implements AsyncDisposable {
  /** `127.0.0.1:<port>`. */
  readonly host: string;
  readonly requests: ProxiedRequest[] = [];
  readonly #target: string;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;
  readonly #asking = new Set<Promise<ProxiedAnswer>>();
  #planned: Planned[] = [];

  private constructor(target: string, server: Server, sockets: Set<Socket>) {
    this.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.#target = target;
    this.#server = server;
    this.#sockets = sockets;
  }

  /** `target`: the origin of the registry behind it. */
  static async start(target: string): Promise<FaultyProxy> {
    const sockets = new Set<Socket>();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const proxy = new FaultyProxy(target, server, sockets);
    server.on("connection", (socket) => {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.once("close", () => sockets.delete(socket));
      socket.once("data", (head) => void proxy.#serve(socket, head.toString("latin1")));
    });
    return proxy;
  }

  /** The next `times` requests for a path that matches get `fault`. */
  plan(path: RegExp, fault: Fault, times = 1): this {
    this.#planned.push({ path, fault, leftTimes: times });
    return this;
  }

  /** Forgets the planned faults and the recorded requests. */
  reset(): void {
    this.#planned = [];
    this.requests.splice(0);
  }

  asked(path: RegExp): ProxiedRequest[] {
    return this.requests.filter((request) => path.test(request.path));
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#sockets.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    // A request of a client that is gone may still be in flight, and the registry ends after this.
    await Promise.all(this.#asking);
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #serve(socket: Socket, head: string): Promise<void> {
    const [first = "", ...lines] = head.split("\r\n");
    const [method = "", path = ""] = first.split(" ");
    const fields = lines.filter((line) => line.includes(": ")).map((line) => line.split(": ", 2));
    const headers = Object.fromEntries(fields.map(([name = "", value = ""]) => [name.toLowerCase(), value]));
    if (!path.startsWith("/")) throw new Error(`this is no request: ${JSON.stringify(head)}`);
    const request = { method, path, headers };
    this.requests.push(request);
    const asking = this.#ask(request);
    this.#asking.add(asking);
    const answer = await asking.finally(() => this.#asking.delete(asking));
    const planned = this.#planned.find((plan) => plan.leftTimes > 0 && plan.path.test(path));
    if (planned !== undefined) planned.leftTimes -= 1;
    await (planned?.fault ?? answerWith({}))(socket, answer, request);
    socket.end();
  }

  async #ask({ method, path, headers }: ProxiedRequest): Promise<ProxiedAnswer> {
    const { authorization, range, accept } = headers;
    const response = await fetch(`${this.#target}${path}`, {
      method,
      headers: { ...(authorization && { authorization }), ...(range && { range }), ...(accept && { accept }) },
      redirect: "manual",
    });
    const answered = kept.flatMap((name) => {
      const value = response.headers.get(name);
      return value === null ? [] : [[name, value] as const];
    });
    return {
      status: response.status,
      headers: Object.fromEntries(answered),
      body: Buffer.from(await response.arrayBuffer()),
    };
  }
}
