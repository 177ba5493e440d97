// Room: system. Owns whether another user of the host could change what a path leads to.
import { lstatSync, readlinkSync, realpathSync, type Stats, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { failedPrecondition } from "../../domain/errors.ts";

const othersWrite = 0o002;
const groupWrites = 0o020;
const sticky = 0o1000;
/** As the kernel's own limit. */
const maxLinks = 40;

/** A user who can change this program controls the process anyway, so its directories are not protected from them. */
const program = realpathSync(import.meta.dir);
const programOwner = statSync(program).uid;
const isAboveProgram = (directory: string): boolean => program.startsWith(`${directory}/`);

export const isTrusted = (uid: number): boolean => uid === 0 || uid === process.geteuid?.() || uid === programOwner;

/** Whether users that this process does not trust can write to what has this mode and these owners. */
export function isWritableByOthers({ mode, gid }: Pick<Stats, "mode" | "gid">): boolean {
  if ((mode & othersWrite) !== 0) return true;
  // A group of one: Debian gives each user a group of the same number, and makes home directories writable to it.
  const isOwnGroup = gid === 0 || (gid === process.getegid?.() && gid === process.geteuid?.());
  return (mode & groupWrites) !== 0 && !isOwnGroup;
}

/**
 * Throws `failed_precondition`, naming the directory, when a user other than root and this process's own could put
 * something else at `path` (absolute; it need not exist): the owner of a directory above it or of a link on the way, or a
 * user who can write to one that is not sticky. Directories above the program itself are not checked.
 */
export function requireUnshared(path: string): void {
  let at: Walk | undefined = { directory: "/", names: path.split("/"), links: 0 };
  while (at !== undefined) at = step(at, path);
}

/** On the way along a path: in `directory`, with `names` to go. */
interface Walk {
  readonly directory: string;
  readonly names: readonly string[];
  /** Followed so far. */
  readonly links: number;
}

/** Undefined: there is nothing more to look at. */
function step({ directory, names: [name, ...names], links }: Walk, path: string): Walk | undefined {
  if (name === undefined) return undefined;
  if (name === "" || name === ".") return { directory, names, links };
  if (name === "..") return { directory: dirname(directory), names, links };
  const next = join(directory, name);
  const found = lstatSync(next, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  if (found.isSymbolicLink()) {
    requireTrustedOwner(next, found);
    if (links === maxLinks) throw failedPrecondition(`${path} leads through too many links`);
    const target = readlinkSync(next);
    const start = target.startsWith("/") ? "/" : directory;
    return { directory: start, names: [...target.split("/"), ...names], links: links + 1 };
  }
  if (found.isDirectory()) requireUnsharedDirectory(next, found);
  else requireTrustedOwner(next, found);
  if (!found.isDirectory() && names.length > 0) throw failedPrecondition(`${next} is not a directory`);
  return { directory: next, names, links };
}

function requireUnsharedDirectory(directory: string, found: Stats): void {
  if (isAboveProgram(directory)) return;
  requireTrustedOwner(directory, found);
  if (isWritableByOthers(found) && (found.mode & sticky) === 0) throw sharedDirectory(directory);
}

export function requireTrustedOwner(path: string, { uid }: Stats): void {
  if (isTrusted(uid)) return;
  throw failedPrecondition(`${path} belongs to user ${uid}, who could change what is there: use another place`);
}

export const sharedDirectory = (path: string) =>
  failedPrecondition(
    `${path} can be written to by other users, who could change what is there: take that right away (chmod go-w), or ` +
      "use another place",
  );
