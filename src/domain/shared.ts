// Room: domain. Owns work that many may ask for at the same time, and that is done once for all of them.

/** Callers that come while `work` is under way get what it comes to. */
export function shared<T>(work: () => Promise<T>): () => Promise<T> {
  let current: Promise<T> | undefined;
  return () => {
    current ??= work().finally(() => {
      current = undefined;
    });
    return current;
  };
}
