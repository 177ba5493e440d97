// Room: test. Owns a server that answers a client as a test says.
export interface Asked {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly body: string;
}

type Answer = (request: Asked) => Response | Promise<Response>;

/** A server on a free port, and what it was asked. */
export function serve(answer: Answer, tls?: { readonly cert: string; readonly key: string }) {
  const asked: Asked[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    ...(tls !== undefined && { tls }),
    fetch: async (request) => {
      const { url, method } = request;
      const one = { url, method, headers: new Headers([...request.headers]), body: await request.text() };
      asked.push(one);
      return await answer(one);
    },
  });
  const host = `${tls === undefined ? "http" : "https"}://127.0.0.1:${String(server.port)}`;
  return { asked, host, [Symbol.asyncDispose]: () => server.stop(true) };
}
