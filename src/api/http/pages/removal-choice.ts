// Room: api. Owns which removals the page "Removals" is about, by its address: for the operations, and for a terminal.
import { type RemovalState, removalStates } from "../../../service/removal-filter.ts";
import { shellWord } from "./names.tsx";
import type { View } from "./view.ts";

export interface RemovalChoice {
  readonly states?: readonly RemovalState[] | undefined;
  readonly find?: string | undefined;
  readonly matching?: string | undefined;
  readonly trouble?: string | undefined;
  readonly holder?: string | undefined;
}

/** What is still to be done: what an operator gave up is not. */
const usualStates: readonly RemovalState[] = ["pending", "failed"];
const texts = ["find", "matching", "trouble", "holder"] as const;

export function choiceIn(view: View): RemovalChoice {
  const state = view.query("state");
  const states = state === "all" ? removalStates : removalStates.filter((each) => each === state);
  const given = texts.flatMap((name) => (view.query(name) === "" ? [] : [[name, view.query(name)] as const]));
  return { ...Object.fromEntries(given), states: states.length === 0 ? usualStates : states };
}

/** As options of `snapmill removals retry` and `discard`. */
export function choiceAtTerminal({ states = usualStates, ...choice }: RemovalChoice): string {
  const words = texts.flatMap((name) => (choice[name] === undefined ? [] : [`--${name} ${shellWord(choice[name])}`]));
  if (states !== usualStates) words.push(...states.map((state) => `--state ${state}`));
  return words.length === 0 ? "--all" : words.join(" ");
}
