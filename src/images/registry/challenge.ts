// Room: images. Owns the parsing of WWW-Authenticate: what a registry asks for (RFC 9110, section 11.6.1).

export interface Challenge {
  /** In lower case: "bearer", "basic". */
  readonly scheme: string;
  /** Names in lower case. */
  readonly parameters: Readonly<Record<string, string>>;
}

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const parameterPattern = new RegExp(`\\s*(${token})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|(${token}))\\s*(?:,|$)`, "y");
const schemePattern = new RegExp(`[\\s,]*(${token})(?:\\s+|$|(?=,))`, "y");
/** Far more than any registry sends. */
const maxHeaderLength = 16_384;

/** The challenges in a header, in order, up to the first that cannot be parsed. */
export function parseChallenges(header: string | null): Challenge[] {
  const challenges: Challenge[] = [];
  if (header === null || header.length > maxHeaderLength) return challenges;
  let at = 0;
  while (at < header.length) {
    schemePattern.lastIndex = at;
    const scheme = schemePattern.exec(header)?.[1];
    if (scheme === undefined) break;
    at = schemePattern.lastIndex;
    const parameters: Record<string, string> = {};
    for (;;) {
      parameterPattern.lastIndex = at;
      const match = parameterPattern.exec(header);
      if (match === null) break;
      const [, name = "", quoted, plain = ""] = match;
      parameters[name.toLowerCase()] = quoted === undefined ? plain : quoted.replace(/\\(.)/g, "$1");
      at = parameterPattern.lastIndex;
    }
    challenges.push({ scheme: scheme.toLowerCase(), parameters });
  }
  return challenges;
}

/** The challenge to answer: a token service is preferred to a password for the registry itself. */
export const preferred = (challenges: readonly Challenge[]): Challenge | undefined =>
  challenges.find(({ scheme, parameters }) => scheme === "bearer" && parameters["realm"] !== undefined) ??
  challenges.find(({ scheme }) => scheme === "basic");
