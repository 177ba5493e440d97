// Room: service. Owns a server's read connection to the pool's database: reopened when another file has replaced it.
import { type Stats, statSync } from "node:fs";
import { asSnapmillError, unavailable } from "../domain/errors.ts";
import { type Database, openDatabase } from "../metadata/database.ts";

export class DatabaseReader implements Disposable {
  readonly #path: string;
  #opened: { readonly database: Database; readonly file: Stats } | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** The current database. If it is missing or unreadable, nothing is known about any snapshot: throws unavailable. */
  current(): Database {
    const file = statSync(this.#path, { throwIfNoEntry: false });
    if (this.#opened !== undefined && isSame(this.#opened.file, file)) return this.#opened.database;
    this[Symbol.dispose]();
    if (file === undefined) throw unavailable(`there is no pool yet (${this.#path} does not exist): try again`);
    this.#opened = { database: this.#open(), file };
    return this.#opened.database;
  }

  [Symbol.dispose](): void {
    this.#opened?.database.close();
    this.#opened = undefined;
  }

  #open(): Database {
    try {
      return openDatabase(this.#path, { mode: "readonly" });
    } catch (error) {
      throw unavailable(`the pool's database cannot be read: ${asSnapmillError(error).message}`, error);
    }
  }
}

const isSame = (opened: Stats, now: Stats | undefined): boolean => opened.ino === now?.ino && opened.dev === now.dev;
