// Room: test. Owns the walk through a page by the Tab key alone.
import type { Page } from "playwright-core";

/** See in-page.js. */
interface Focus {
  readonly stop: number;
  readonly isVisible: boolean;
  readonly isInView: boolean;
}

/** What lies between the last stop and the first: the page itself, scrolled parts. */
const allowance = 10;

/**
 * One sentence for each link, button and field that Tab does not reach, reaches out of order, or where nobody sees that it
 * has; empty when the page can be used without a mouse. The page has just been loaded.
 */
export async function keyboardFaults(page: Page): Promise<readonly string[]> {
  const names = await page.evaluate<readonly string[]>("snapmillTest.stops()");
  const order: number[] = [];
  const faults: string[] = [];
  for (let presses = 0; presses < names.length + allowance && order.length < names.length; presses++) {
    await page.keyboard.press("Tab");
    const { stop, isVisible, isInView } = await page.evaluate<Focus>("snapmillTest.focus()");
    if (stop === -1) continue;
    if (order.includes(stop)) break;
    order.push(stop);
    const name = names[stop] ?? "";
    if (!isVisible) faults.push(`${name} looks the same with the focus and without`);
    if (!isInView) faults.push(`${name} has the focus out of view`);
  }
  const missed = names.filter((_, stop) => !order.includes(stop)).map((name) => `Tab does not reach ${name}`);
  const late = order
    .filter((stop, index) => index > 0 && stop < (order[index - 1] ?? 0))
    .map((stop) => `Tab reaches ${names[stop] ?? ""} after what comes later in the page`);
  return [...missed, ...late, ...faults];
}
