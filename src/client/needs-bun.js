// Room: client. Owns what a program is told that imports the client and is run by something else than Bun.
export const connect = undefined;
export const ApiError = undefined;

throw new Error(
  "snapmill's client needs Bun, whose fetch speaks to UNIX sockets and trusts certificates of your own: run this program with 'npx bun FILE' (bun came with snapmill), or use the HTTP API as docs/API.md describes it",
);
